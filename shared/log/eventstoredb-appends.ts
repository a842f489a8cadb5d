import { setTimeout as delay } from 'node:timers/promises';
import { NO_STREAM, type EventStoreDBClient } from '@eventstore/db-client';
import type { Position, StreamName } from '#schemas/brand.ts';
import { createSlots } from '#shared/gitlab/slots.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { EncodedAppend } from './encode-append.ts';
import { AppendRefused, type AppendOutcome } from './event-log.ts';
import type { Credentials } from './eventstoredb-client.ts';
import { asUnavailable, kindOf, typeOf } from './eventstoredb-errors.ts';
import { eventsOf } from './eventstoredb-events.ts';
import { positionAt } from './eventstoredb-positions.ts';

/** Of the 100 calls that a server lets a connection have at once; subscriptions and reads need theirs. */
const APPENDS_AT_ONCE = 64;
/** A server that is slow or silent must not fill this process. */
const WAITING_APPENDS_MAX = 100_000;
const WAITING_BYTES_MAX = 64 * 1_048_576;
/** As long as the embedded log believes a silent server to be working. */
const ANSWER_MS_MAX = 10_000;
/** A copy that met its original under way is dropped by the server and told "timeout" 2 s later; a stopped server says nothing. */
const TRY_MS_MAX = 5_000;
/** The client needs a turn of the event loop to open another connection; a new leader is there after some seconds. */
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 500;

export interface EventstoredbAppends {
  /** @throws Unavailable, AppendRefused */
  add(append: EncodedAppend): Promise<AppendOutcome>;
}

interface Options {
  /** They make the client take the unary call, whose deadline and errors can be relied on. Without TLS it does not send them. */
  readonly credentials: Credentials;
  /** Where an event stands: the answer to a retry may leave it out. */
  positionOf(stream: StreamName, revision: number): Promise<Position | undefined>;
}

/** One call an append, always at an exact revision; a try that ended without an answer is repeated with the same ids at the same revision. */
export function createEventstoredbAppends(client: EventStoreDBClient, { credentials, positionOf }: Options): EventstoredbAppends {
  const underWay = new Map<string, Promise<AppendOutcome>>();
  const slots = createSlots(APPENDS_AT_ONCE);
  let waiting = 0;
  let waitingBytes = 0;

  return {
    add(append) {
      // Of many copies at once the server stores one, and tells many of the others "timeout", though nothing is wrong.
      const key = `${append.stream} ${append.expected} ${append.facts.map(({ id }) => id).join()}`;
      const first = underWay.get(key) ?? inTurn(append).finally(() => underWay.delete(key));
      underWay.set(key, first);
      return first;
    },
  };

  async function inTurn(append: EncodedAppend): Promise<AppendOutcome> {
    if (waiting >= WAITING_APPENDS_MAX || waitingBytes + append.bytes > WAITING_BYTES_MAX) {
      throw new Unavailable('event log', `${waiting} appends of ${waitingBytes} bytes are waiting for it already`);
    }
    waiting += 1;
    waitingBytes += append.bytes;
    const release = await slots.take();
    try {
      return await untilAnswered(append);
    } finally {
      release();
      waiting -= 1;
      waitingBytes -= append.bytes;
    }
  }

  async function untilAnswered(append: EncodedAppend): Promise<AppendOutcome> {
    const events = eventsOf(append);
    const until = Date.now() + ANSWER_MS_MAX;
    let isLastTry = false;
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      try {
        return await send(append, { events, ms: Math.min(TRY_MS_MAX, Math.max(until - Date.now(), PAUSE_MS_MIN)) });
      } catch (error) {
        const outcome = refusedOutcome(append, error);
        if (outcome) return outcome;
        const kind = error instanceof Unavailable ? 'away' : kindOf(error);
        if (kind === 'wrong' || kind === 'denied' || isLastTry || Date.now() + pauseMs > until) throw asUnavailable(error);
        // Away: once more on a new connection, perhaps to another node. Then whoever asked waits better than we.
        isLastTry = kind === 'away';
      }
      await delay(pauseMs);
    }
  }

  async function send({ stream, expected, facts }: EncodedAppend, { events, ms }: { events: ReturnType<typeof eventsOf>; ms: number }): Promise<AppendOutcome> {
    const expectedRevision = expected < 0 ? NO_STREAM : BigInt(expected);
    // The call's own deadline does not begin before a node was found.
    const work = client.appendToStream(stream, events, { expectedRevision, credentials, requiresLeader: true, deadline: ms });
    const { position } = await withDeadline(work, { ms: ms + PAUSE_MS_MAX, dependency: 'event log' });
    const revision = expected + facts.length;
    const placed = position === undefined ? await positionOf(stream, revision) : positionAt(position);
    if (placed === undefined) throw new Error(`EventStoreDB says that ${stream} was appended to, and has no event ${revision} in it`);
    return { kind: 'appended', revision, position: placed };
  }
}

/** Undefined: no refusal. @throws AppendRefused when the server takes less than we thought */
function refusedOutcome({ stream, bytes }: EncodedAppend, error: unknown): AppendOutcome | undefined {
  if (typeOf(error) === 'maximum-append-size-exceeded') throw new AppendRefused(`cannot append to ${stream}: EventStoreDB does not take ${bytes} bytes at once`, { cause: error });
  if (typeOf(error) !== 'wrong-expected-version') return undefined;
  const { actualVersion } = error as { actualVersion: bigint | typeof NO_STREAM };
  return { kind: 'wrongRevision', actual: actualVersion === NO_STREAM ? 'noStream' : Number(actualVersion) };
}

import type { sendUnaryData, ServerReadableStream } from '@grpc/grpc-js';
import type { AppendReq, AppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import { countCall, type Double } from '../double.ts';
import { APPEND_BYTES_MAX, sizeOf, type Expected, type NewEvent } from '../store/event.ts';
import { appendedResponse, expectedOf, nameOf, proposedOf, wrongRevisionResponse } from './messages.ts';
import { appendTooBig, handlerThrew, notLeader, notReady, streamDeleted, timedOut } from './refusals.ts';

type AppendCall = ServerReadableStream<AppendReq, AppendResp>;
type Answer = sendUnaryData<AppendResp>;
interface Asked { readonly stream: string; readonly expected: Expected; readonly events: readonly NewEvent[] }

/** How long the real server waits for a commit that it has dropped, before it says so. */
const COMMIT_WAIT_MS = 2_000;

/** The unary append: options first, then an event a message; one answer. */
export function appendHandler(double: Double) {
  /** Appends that take their time, by their ids: copies of them are dropped meanwhile. */
  const committing = new Map<string, Promise<void>>();

  return (call: AppendCall, answer: Answer): void => {
    const messages: AppendReq[] = [];
    call.on('data', (message: AppendReq) => messages.push(message));
    call.on('end', () => {
      countCall(double, 'append');
      const asked = askedOf(messages);
      if (asked instanceof Error) answer(asked);
      else if (!refuse(call, answer, asked)) void commit(call, answer, asked);
    });
  };

  /** Whether there is nothing more to say to it. */
  function refuse(_call: AppendCall, answer: Answer, { stream }: Asked): boolean {
    const on = { on: 'append', stream } as const;
    if (double.faults.take('silent', on)) return true;
    const leader = double.faults.take('not-leader', on);
    const broken = leader === undefined ? double.faults.take('wordless', on) : undefined;
    if (leader) answer(notLeader(leader));
    else if (broken) answer(handlerThrew(broken));
    else if (double.faults.take('not-ready', on)) answer(notReady());
    else return false;
    return true;
  }

  async function commit(call: AppendCall, answer: Answer, asked: Asked): Promise<void> {
    const { faults, store } = double;
    const on = { on: 'append', stream: asked.stream } as const;
    const key = `${asked.stream} ${asked.events.map(({ id }) => id).join()}`;
    if (committing.has(key)) {
      setTimeout(() => answer(timedOut('Commit phase timeout.')), COMMIT_WAIT_MS);
      return;
    }
    const slow = faults.take('slow-commit', on);
    if (slow) {
      const committed = new Promise<void>((resolve) => { setTimeout(resolve, slow.delayMs ?? 0); });
      committing.set(key, committed);
      await committed;
      committing.delete(key);
    }

    const { stream, expected, events } = asked;
    const appended = store.append(stream, expected, events);
    if (faults.take('cut-after-storing', on)) double.nodes.cut(call.getPeer());
    else if (faults.take('time-out-after-storing', on)) answer(timedOut('Commit phase timeout.'));
    else if (appended.kind === 'tombstoned') answer(streamDeleted(stream));
    else answer(null, appended.kind === 'done' ? appendedResponse(appended) : wrongRevisionResponse({ expected, actual: appended.actual }));
  }
}

function askedOf([header, ...proposed]: readonly AppendReq[]): Asked | Error {
  const options = header?.getOptions();
  const stream = nameOf(options?.getStreamIdentifier());
  const events = proposed.map((message) => {
    const one = message.getProposedMessage();
    return one && proposedOf(one);
  });
  if (stream === '' || events.includes(undefined)) return handlerThrew();
  if (sizeOf(events as NewEvent[]) > APPEND_BYTES_MAX) return appendTooBig(APPEND_BYTES_MAX);
  return { stream, expected: expectedOf(options), events: events as NewEvent[] };
}

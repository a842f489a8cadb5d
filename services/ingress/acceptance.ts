import type { StreamName } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Deliveries, DeliveryRow } from './deliveries.ts';
import type { KnownCodebases } from './known-codebases.ts';
import type { Spool } from './spool.ts';

/** Something that came through the door and must not be lost: one fact at the beginning of a stream of its own. */
export interface Arrival {
  readonly stream: StreamName;
  readonly fact: NewFact<'push.received' | 'delivery.ignored' | 'gitlab.hinted' | 'sync.requested'>;
  /** The raw body that goes with a delivery; null for commands. */
  readonly delivery: DeliveryRow | null;
  /** A push that is not signed, of which nobody could know whether it must be. */
  readonly isDoubted?: true;
}

/** As it lies in the spool: JSON, so the body in base64. */
export type SpooledArrival = Omit<Arrival, 'delivery'> & { readonly delivery: (Omit<DeliveryRow, 'body'> & { readonly body: string }) | null };

export type Accepted =
  | { readonly kind: 'recorded'; readonly fact: NewFact }
  /** The stream holds a fact already: the same delivery or command came before, or another command under its key. */
  | { readonly kind: 'duplicate'; readonly recorded: Fact }
  /** Fsynced in the spool; it reaches the log in order when that answers again. */
  | { readonly kind: 'spooled'; readonly fact: NewFact }
  | { readonly kind: 'full'; readonly retryAfterS: number };

/** The log and the deliveries have this long to answer; then we spool, well within GitLab's 10 s. */
const ANSWER_MS_MAX = 1_500;

/** Nobody waits for an entry of the spool, but a stop waits for the one in hand. */
const DRAIN_MS_MAX = 5_000;
/** A full spool is an operator's matter: minutes, not seconds; GitLab does not look at it. */
const RETRY_AFTER_S = 30;

export interface AcceptanceDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly deliveries: Deliveries;
  readonly spool: Spool<SpooledArrival>;
  readonly codebases: Pick<KnownCodebases, 'patiently'>;
  readonly tracing: Pick<Tracing, 'traceparent'>;
  readonly logger: Logger;
}

/** Invariant I1: what is answered 2xx is in the log, or in an fsynced spool that drains into it in order. */
export function createAcceptance({ log, deliveries, spool, codebases, tracing, logger }: AcceptanceDeps) {
  return { accept, recordSpooled };

  async function accept(arrival: Arrival): Promise<Accepted> {
    // What comes next goes behind what waits already.
    if (!spool.isEmpty) return toSpool(arrival);
    try {
      return await withDeadline(record(arrival), { ms: ANSWER_MS_MAX, dependency: 'event log' });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      logger.warn({ error }, 'the log or the deliveries are away: spooling');
      return toSpool(arrival);
    }
  }

  /** Straight to the tables: body first, then the fact. Repeating it changes nothing. @throws Unavailable */
  async function record(arrival: Arrival): Promise<Extract<Accepted, { kind: 'recorded' | 'duplicate' }>> {
    const { correlationId: correlation, type } = arrival.fact;
    if (arrival.delivery !== null) {
      await deliveries.write(arrival.delivery);
      tookStep(logger, 'written', { correlation, type });
    }
    const fact = arrival.isDoubted === true ? await undoubted(arrival.fact) : arrival.fact;
    const outcome = await log.append(arrival.stream, 'noStream', [fact]);
    if (outcome.kind === 'appended') {
      tookStep(logger, 'appended', { correlation, type: fact.type, position: outcome.position });
      return { kind: 'recorded', fact };
    }
    const [first] = await log.readStream(arrival.stream, { limit: 1 });
    if (first === undefined) throw new Unavailable('event log', `refused to begin ${arrival.stream} and then showed it empty`);
    return { kind: 'duplicate', recorded: first as Fact };
  }

  /** It was answered 2xx, so it is written down; but of a webhook that signs it asks for nothing. @throws Unavailable */
  async function undoubted(fact: Arrival['fact']): Promise<Arrival['fact']> {
    if (fact.type !== 'push.received') return fact;
    const { id, actor, correlationId, causationId, time, traceparent } = fact;
    const { deliveryId, sourceId, body, codebaseId, gitlabProjectId } = fact.data;
    const { isSigned } = await codebases.patiently(codebaseId);
    if (isSigned === undefined) throw new Unavailable('event log', `does not say whether the webhook of codebase ${codebaseId} signs`);
    if (!isSigned) return fact;
    const data = { deliveryId, sourceId, body, reason: `not signed, and the webhook of GitLab project ${gitlabProjectId} signs what it sends` };
    const ignored = newFact({ id, type: 'delivery.ignored', key: sourceId, actor, correlationId, causationId, time: new Date(time), data });
    return traceparent === undefined ? ignored : { ...ignored, traceparent };
  }

  async function toSpool(arrival: Arrival): Promise<Accepted> {
    const { delivery } = arrival;
    // The log takes it later, when nobody works in this span any more.
    const traceparent = tracing.traceparent();
    const fact = traceparent === undefined ? arrival.fact : { ...arrival.fact, traceparent };
    const entry = { ...arrival, fact, delivery: delivery === null ? null : { ...delivery, body: delivery.body.toString('base64') } };
    try {
      if (!(await spool.add(entry))) return { kind: 'full', retryAfterS: RETRY_AFTER_S };
      tookStep(logger, 'spooled', { correlation: arrival.fact.correlationId, type: arrival.fact.type });
      return { kind: 'spooled', fact: arrival.fact };
    } catch (error) {
      logger.error({ error }, 'the spool cannot be written: deliveries are refused until it can. Free the disk that holds the state folder');
      return { kind: 'full', retryAfterS: RETRY_AFTER_S };
    }
  }

  /**
   * One entry of the spool goes where it belongs. A stream that holds the same delivery or command already is done;
   * whatever else the log will never take is refused. @throws Unavailable
   */
  async function recordSpooled({ delivery, ...entry }: SpooledArrival): Promise<'taken' | 'refused'> {
    try {
      const arrival = { ...entry, delivery: delivery === null ? null : { ...delivery, body: Buffer.from(delivery.body, 'base64') } };
      const outcome = await withDeadline(record(arrival), { ms: DRAIN_MS_MAX, dependency: 'event log' });
      return outcome.kind === 'recorded' || isSameCommand(entry.fact, outcome.recorded) ? 'taken' : 'refused';
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      logger.error({ error, stream: entry.stream }, 'the log will not take an entry of the spool');
      return 'refused';
    }
  }
}

function isSameCommand(fact: Arrival['fact'], recorded: Fact): boolean {
  if (fact.type !== 'sync.requested') return true; // A delivery is named by its stream alone.
  return recorded.type === 'sync.requested' && recorded.data.command.digest === fact.data.command.digest;
}

export type Acceptance = ReturnType<typeof createAcceptance>;

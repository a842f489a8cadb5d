import { createHash, type Hash } from 'node:crypto';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { encodeAppend } from './encode-append.ts';
import type { EventLog, ExpectedRevision, Recorded } from './event-log.ts';

/** How often a log that is away is asked again, after the time that its adapter has given it. */
const LOOK_AGAIN_MS = 1_000;

export interface CopyDeps {
  /** Nobody appends to it meanwhile. */
  readonly from: Pick<EventLog, 'subscribe' | 'head'>;
  readonly to: Pick<EventLog, 'append' | 'subscribe' | 'head'>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Told after each fact that was copied, found there already, or compared. */
  onFact?(done: 'found' | 'copied' | 'compared', facts: number): void;
  /** Told when the log that is written to is away; it is asked again. */
  onAway?(why: string): void;
}

/** Two logs that are to hold the same facts do not: the message says at which one, and what to do. */
export class LogsDiffer extends Error {
  override readonly name = 'LogsDiffer';
}

/**
 * Brings every fact of one log into another, in its order: streams, revisions, ids and times are kept, positions are the other
 * log's own. Whatever the other holds must be the beginning of the same: what a copy that was killed has left is gone on with.
 * One append at a time: two under way at once could change places. @throws LogsDiffer; or when `signal` aborts
 */
export async function copyLog(deps: CopyDeps, signal: AbortSignal): Promise<void> {
  const { from, to, onFact } = deps;
  const there = factsOf(to, signal);
  let [found, copied] = [0, 0];
  try {
    for await (const fact of factsOf(from, signal)) {
      // Once the other has ended, it is what we append ourselves.
      const standing = copied > 0 ? undefined : (await there.next()).value ?? undefined;
      if (standing !== undefined) {
        mustBeSame(fact, standing);
        found += 1;
        onFact?.('found', found);
      } else {
        await appendUntilTaken(deps, fact, signal);
        copied += 1;
        onFact?.('copied', copied);
      }
    }
    if (copied === 0) mustBeOver(await there.next());
  } finally {
    await there.return(undefined);
  }
}

export interface Compared { readonly facts: number; readonly digest: string }

/** One place in two logs. */
export interface SamePlace { readonly from: Position; readonly to: Position }

/** Reads both logs from their beginning to their end. Gives where each fact stands in either, in pages. @throws LogsDiffer; or when `signal` aborts */
export async function compareLogs({ from, to, onFact }: CopyDeps, { pageFacts, onPage }: { pageFacts: number; onPage(places: readonly SamePlace[]): Promise<void> }, signal: AbortSignal): Promise<Compared> {
  const there = factsOf(to, signal);
  const digests: readonly [Hash, Hash] = [createHash('sha256'), createHash('sha256')];
  let [facts, page] = [0, [] as SamePlace[]];
  try {
    for await (const fact of factsOf(from, signal)) {
      const { value: other } = await there.next();
      if (other === undefined) throw new LogsDiffer(`${nameOf(fact)} is not there: whatever took it lost it.`);
      mustBeSame(fact, other);
      digests[0].update(`${textOf(fact)}\n`);
      digests[1].update(`${textOf(other)}\n`);
      page.push({ from: fact.position, to: other.position });
      facts += 1;
      onFact?.('compared', facts);
      if (page.length < pageFacts) continue;
      await onPage(page);
      page = [];
    }
    mustBeOver(await there.next());
    await onPage(page);
  } finally {
    await there.return(undefined);
  }
  const [digest, other] = digests.map((hash) => hash.digest('hex'));
  if (digest === undefined || digest !== other) throw new LogsDiffer(`The digests of both logs differ: ${digest} and ${other}.`);
  return { facts, digest };
}

/** Everything that stands there when it is asked. @throws when `signal` aborts */
async function* factsOf(log: Pick<EventLog, 'subscribe' | 'head'>, signal: AbortSignal): AsyncGenerator<Recorded, undefined, void> {
  const end = await log.head();
  if (end === BEGINNING) return undefined;
  const reading = new AbortController();
  try {
    for await (const { facts, position } of log.subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.any([signal, reading.signal]) })) {
      for (const fact of facts) {
        if (fact.position > end) return undefined;
        yield fact;
      }
      if (position >= end) return undefined;
    }
  } finally {
    reading.abort();
  }
  signal.throwIfAborted();
  return undefined;
}

async function appendUntilTaken({ to, sleep, onAway }: CopyDeps, fact: Recorded, signal: AbortSignal): Promise<void> {
  const expected: ExpectedRevision = fact.revision === 0 ? 'noStream' : fact.revision - 1;
  for (;;) {
    signal.throwIfAborted();
    try {
      const outcome = await to.append(fact.stream, expected, [fact]);
      if (outcome.kind === 'appended') return;
      throw new LogsDiffer(`${nameOf(fact)} cannot go to its place: that stream is at ${outcome.actual} there. Somebody else writes to that log: stop it, and take an empty one.`);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      onAway?.(error.message);
    }
    await sleep(LOOK_AGAIN_MS, signal);
  }
}

function mustBeSame(fact: Recorded, other: Recorded): void {
  if (textOf(fact) === textOf(other)) return;
  throw new LogsDiffer(`Where ${nameOf(fact)} was to stand, there is ${nameOf(other)}. That log holds facts of another engine, or was written to since: take an empty one.`);
}

function mustBeOver({ value }: IteratorResult<Recorded, undefined>): void {
  if (value === undefined) return;
  throw new LogsDiffer(`Behind the last fact, there is ${nameOf(value)}. That log holds facts of another engine, or was written to since: take an empty one.`);
}

/** All of a fact but its position. */
function textOf(fact: Recorded): string {
  const { stream, facts: [encoded] } = encodeAppend(fact.stream, fact.revision === 0 ? 'noStream' : fact.revision - 1, [fact]);
  return `${stream} ${fact.revision} ${encoded?.json}`;
}

const nameOf = ({ id, type, stream, revision }: Recorded) => `fact ${id} (${type}, ${stream} ${revision})`;

import { BEGINNING, type Position } from '#schemas/brand.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { parseTime } from '#schemas/times.ts';
import type { EventLog } from '#shared/log/event-log.ts';

export interface FindDeps {
  readonly log: Pick<EventLog, 'subscribe' | 'head' | 'epoch'>;
  now(): Date;
  /** Told after each page that was looked through for a time. */
  onLooked?(facts: number): void;
}

/**
 * Up to where a past goes that is asked for by `text`. A position: to the fact that stands there. A time: to the last fact of the
 * log whose own time is not later, with everything before it. Facts before it may have a later time, where our clock was set back:
 * the log's order counts. @throws when there is no such place in the log, saying what there is; or `signal` aborts
 */
export async function findMoment(deps: FindDeps, text: string, signal: AbortSignal): Promise<Position> {
  const head = await deps.log.head();
  if (head === BEGINNING) throw new Error('The log holds no facts: there is no past yet.');
  const epoch = await deps.log.epoch();
  const position = positionInside(epoch, text);
  if (position.kind === 'otherEpoch') throw new Error(`The position ${text} is of another log, or of this one before it was rebuilt or moved. Ask by a time.`);
  if (position.kind === 'ok') {
    if (position.position === BEGINNING) throw new Error(`${text} is before the first fact: nothing was known yet.`);
    // Whether a fact stands there, only the fold will tell.
    if (position.position.length === head.length && position.position <= head) return position.position;
    throw new Error(`There is no position ${text} in this log: the newest is ${positionOutside(epoch, head)}.`);
  }
  const time = parseTime(text);
  if (time === undefined) throw new Error(`${JSON.stringify(text)} is no moment: a position as answers give it, or a time with its zone, such as 2026-01-31T12:00:00Z.`);
  if (time > deps.now().toISOString()) throw new Error(`${text} is still to come.`);
  return lastBy(deps, { time, head }, signal);
}

async function lastBy({ log, onLooked }: FindDeps, { time, head }: { time: string; head: Position }, signal: AbortSignal): Promise<Position> {
  let [last, first, facts] = [BEGINNING, '', 0];
  const reading = new AbortController();
  try {
    for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.any([signal, reading.signal]) })) {
      for (const fact of batch.facts) {
        if (fact.position > head) break;
        first ||= fact.time;
        facts += 1;
        if (fact.time <= time) last = fact.position;
      }
      onLooked?.(facts);
      if (batch.position >= head) break;
    }
  } finally {
    reading.abort();
  }
  signal.throwIfAborted();
  if (last === BEGINNING) throw new Error(`Nothing was recorded by ${time}: the first fact is of ${first}.`);
  return last;
}

import type { Position } from '#schemas/brand.ts';
import type { TopicWriter } from '#shared/bus/fact-topic.ts';
import type { Batch, EventLog } from '#shared/log/event-log.ts';
import { cutBatches, notYetThere } from './cut-batches.ts';
import type { Lag } from './lag.ts';

export interface FollowDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly writer: TopicWriter;
  readonly lag: Lag;
  readonly checkpointEveryMs: number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/**
 * Writes what the log has after `writer.after`, in its order, one batch after the other, until the signal aborts. So whatever was
 * written begins right behind what stood there, also when it arrives late, from a process that was stopped: it is a repetition, never a gap.
 * @throws Unavailable when it is not known what was written
 */
export async function followLog({ log, writer, lag, checkpointEveryMs, sleep }: FollowDeps, signal: AbortSignal): Promise<void> {
  let remembered: Position = writer.after;
  let reached: Position = writer.after;
  let rememberedAt = -Infinity;

  const remember = async () => {
    if (reached === remembered) return;
    await writer.checkpoint(reached);
    remembered = reached;
    rememberedAt = performance.now();
  };
  // Also the last before a silence: consumers of partitions where nothing happens know by it how far they are.
  const rememberLate = async (next: Promise<unknown>) => {
    if (reached === remembered) return;
    const isNext = new AbortController();
    const isSilent = await Promise.race([next.then(() => false, () => false), sleep(checkpointEveryMs, AbortSignal.any([signal, isNext.signal])).then(() => true)]);
    isNext.abort();
    if (isSilent && !signal.aborted) await remember();
  };
  for await (const batch of withPauses(log.subscribe({ after: writer.after, prefixes: [], signal }), rememberLate)) {
    if (!(await writeAll({ writer, lag, batch }, signal))) break;
    reached = batch.position;
    tellLag(lag, batch);
    if (performance.now() - rememberedAt >= checkpointEveryMs) await remember();
  }
  await remember();
}

/** Asks for the next once what `pause` does is done; `pause` is given the one that is under way. */
async function* withPauses<T>(all: AsyncIterable<T>, pause: (next: Promise<unknown>) => Promise<void>): AsyncGenerator<T> {
  const items = all[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = items.next();
      next.catch(() => undefined);
      await pause(next);
      const { done, value } = await next;
      if (done === true) return;
      yield value;
    }
  } finally {
    await items.return?.();
  }
}

/** False when told to stop before all of it was written. */
async function writeAll({ writer, lag, batch: { facts } }: Pick<FollowDeps, 'writer' | 'lag'> & { batch: Batch }, signal: AbortSignal): Promise<boolean> {
  const missing = notYetThere(facts.map((fact) => writer.place(fact)), writer.highest);
  lag.written(0, facts.length - missing.length);
  if (missing[0] !== undefined) lag.behindFrom(missing[0].fact.time);
  for (const batch of cutBatches(missing)) {
    // Between two batches, never within: nothing is begun once another may be at it.
    if (signal.aborted) return false;
    await writer.write(batch);
    lag.written(batch.length, 0);
    lag.behindFrom(batch.at(-1)!.fact.time);
  }
  return true;
}

function tellLag(lag: Lag, { isCaughtUp, facts }: Batch): void {
  if (isCaughtUp) lag.caughtUp();
  else if (facts.length > 0) lag.behindFrom(facts.at(-1)!.time);
}

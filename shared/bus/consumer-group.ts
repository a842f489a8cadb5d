import { BEGINNING, type Position } from '#schemas/brand.ts';
import { parseFact, streamPrefixesOf, type Fact } from '#schemas/events/facts.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Consumer, Outcome } from './bus.ts';
import { createLanes, type Entry } from './lanes.ts';
import type { LogBusDeps } from './log-bus.ts';
import { createParkedKeys } from './parked-keys.ts';

/** About 20 MB of facts. Counts what is not finished, so a slow key costs memory, never the others' progress, until it alone fills this. */
const UNFINISHED_MAX = 20_000;
/** What a restart may have to look at again: handlers find their own steps in the log, so this is only time. */
const CHECKPOINT_EVERY_MS = 250;
/** Redrives made through another process are seen within this. */
const REDRIVE_LOOK_EVERY_MS = 1_000;
/** A bug may be a race that a second try does not meet; a fifth will not help. */
const FAILURES_MAX = 5;
const BACKOFF_MS = [100, 500, 2_000, 5_000, 15_000, 30_000] as const;

export interface GroupRun {
  readonly group: string;
  /** Resolves when the consumer was told to stop and everything in hand has ended. */
  readonly ended: Promise<void>;
  lookForRedriven(): Promise<void>;
}

/** Works for one consumer group: takes facts from the log into lanes, hands them out, acts on the outcomes. */
export function runGroup(deps: LogBusDeps, consumer: Consumer, signal: AbortSignal): GroupRun {
  const { log, store, logger, now, sleep } = deps;
  const lanes = createLanes();
  const parked = createParkedKeys({ group: consumer.group, store, now, untilStored });
  const inHand = new Set<Promise<void>>();
  const wanted = new Set<string>(consumer.types);
  let slotsUsed = 0;
  let savedCheckpoint: Position | undefined;
  let wakeWhenRoom: (() => void) | undefined;

  return { group: consumer.group, ended: run(), lookForRedriven };

  async function run(): Promise<void> {
    let after = BEGINNING;
    await untilStored(async () => { after = (await store.loadCheckpoint(consumer.group)) ?? BEGINNING; });
    await untilStored(() => parked.load());
    await untilStored(() => lookForRedriven());
    const keepers = [every(CHECKPOINT_EVERY_MS, saveCheckpoint), every(REDRIVE_LOOK_EVERY_MS, lookForRedriven)];
    let before = after;
    for await (const batch of log.subscribe({ after, prefixes: streamPrefixesOf(consumer.types), signal })) {
      for (const recorded of batch.facts) {
        if (wanted.has(recorded.type)) await takeIn(recorded, before);
        before = recorded.position;
      }
      lanes.gaveUpTo(batch.position);
      before = batch.position;
    }
    await Promise.all(keepers);
    while (inHand.size > 0) await Promise.all(inHand);
    await saveCheckpoint().catch(() => undefined); // Lost only time: see CHECKPOINT_EVERY_MS.
  }

  async function takeIn(recorded: Recorded, before: Position): Promise<void> {
    if (parked.isRedriven(recorded.position)) return;
    if (parked.has(recorded.key) && (await parked.parkBehind(recorded))) return;
    lanes.add(entryOf(recorded, before, false));
    pump();
    while (lanes.unfinishedCount >= UNFINISHED_MAX && !signal.aborted) await room();
  }

  function room(): Promise<void> {
    return new Promise((resolve) => {
      wakeWhenRoom = () => { signal.removeEventListener('abort', wake); resolve(); };
      const wake = wakeWhenRoom;
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  async function lookForRedriven(): Promise<void> {
    await parked.takeRedriven((recorded) => lanes.add(entryOf(recorded, recorded.position, true)));
    pump();
  }

  function pump(): void {
    while (slotsUsed < consumer.concurrency && !signal.aborted) {
      const entry = lanes.take();
      if (entry === undefined) return;
      slotsUsed += 1;
      const working = work(entry).finally(() => inHand.delete(working));
      inHand.add(working);
    }
  }

  async function work(entry: Entry): Promise<void> {
    const outcome = await outcomeOf(entry);
    slotsUsed -= 1;
    pump();
    await act(entry, outcome);
    pump();
  }

  async function outcomeOf(entry: Entry): Promise<Outcome> {
    if (entry.fact === undefined) return { kind: 'park', reason: entry.unreadable ?? 'unreadable' };
    entry.firstHandledAt ??= now().getTime();
    const waiting = lanes.behind(entry).flatMap((other) => (other.fact === undefined ? [] : [other.fact]));
    try {
      const outcome = await consumer.handle(entry.fact, { waiting, sinceFirstMs: now().getTime() - entry.firstHandledAt, isRedriven: entry.isRedriven, signal });
      entry.failures = 0;
      entry.waits = 0;
      return outcome;
    } catch (error) {
      return outcomeOfError(entry, error);
    }
  }

  function outcomeOfError(entry: Entry, error: unknown): Outcome {
    if (signal.aborted) return { kind: 'retry', afterMs: 0, reason: 'stopping' };
    if (error instanceof Unavailable) {
      // No fault of the fact: however often, it never counts towards parking.
      entry.waits += 1;
      return { kind: 'retry', afterMs: error.retryAfterMs ?? backoffMs(entry.waits), reason: error.message };
    }
    entry.failures += 1;
    logger.error({ error, group: consumer.group, key: entry.recorded.key, fact: entry.recorded.id, failures: entry.failures }, 'a fact could not be worked on');
    if (entry.failures < FAILURES_MAX) return { kind: 'retry', afterMs: backoffMs(entry.failures), reason: String(error) };
    return { kind: 'park', reason: `failed ${entry.failures} times: ${String(error)}` };
  }

  async function act(entry: Entry, outcome: Outcome): Promise<void> {
    const { key } = entry.recorded;
    switch (outcome.kind) {
      case 'done':
        await finish(entry);
        break;
      case 'retry':
        logger.info({ group: consumer.group, key, reason: outcome.reason, afterMs: outcome.afterMs }, 'a key waits');
        await sleep(outcome.afterMs, signal);
        break;
      case 'hold':
        await outcome.until(signal).catch((error: unknown) => {
          logger.warn({ error, key }, 'a wait failed; looking again');
          return sleep(backoffMs(2), signal);
        });
        break;
      case 'aside':
        lanes.setAside(entry, true);
        void sleep(outcome.afterMs, signal).then(() => { lanes.setAside(entry, false); pump(); });
        break;
      case 'park':
        await parkKey(entry, outcome.reason);
        break;
      default: outcome satisfies never;
    }
    lanes.release(key);
  }

  async function finish(entry: Entry): Promise<void> {
    if (entry.isRedriven) await untilStored(() => store.forget(consumer.group, entry.recorded.position));
    lanes.finish(entry);
    if (lanes.unfinishedCount < UNFINISHED_MAX) wakeWhenRoom?.();
  }

  async function parkKey(entry: Entry, reason: string): Promise<void> {
    const { key } = entry.recorded;
    logger.error({ group: consumer.group, key, fact: entry.recorded.id, type: entry.recorded.type, reason }, 'parked a key');
    let entries: readonly Entry[] = [];
    const isKept = await parked.park(key, () => {
      entries = lanes.all(key);
      return entries.map((other) => ({ fact: other.recorded, reason: other === entry ? reason : null }));
    });
    // What is not kept stays unfinished: the checkpoint must not pass it.
    if (!isKept) return;
    for (const other of entries) lanes.finish(other);
    wakeWhenRoom?.();
  }

  async function saveCheckpoint(): Promise<void> {
    const checkpoint = lanes.checkpoint();
    if (checkpoint === undefined || checkpoint === savedCheckpoint) return;
    await store.saveCheckpoint(consumer.group, checkpoint);
    savedCheckpoint = checkpoint;
  }

  /** Repeats until the store has answered: true; false when we are told to stop before it has. */
  async function untilStored(step: () => Promise<void>): Promise<boolean> {
    for (let failures = 1; ; failures += 1) {
      try {
        await step();
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        logger.warn({ error, group: consumer.group }, 'the bus waits for its store');
        await sleep(backoffMs(failures), signal);
      }
    }
  }

  async function every(ms: number, step: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await sleep(ms, signal);
      await step().catch((error: unknown) => logger.warn({ error, group: consumer.group }, 'the bus waits for its store'));
    }
  }
}

/** After so many failures in a row. */
const backoffMs = (failures: number) => BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? 30_000;

function entryOf(recorded: Recorded, before: Position, isRedriven: boolean): Entry {
  const parsed = parse(recorded);
  return { recorded, ...parsed, before, isRedriven, isAside: false, firstHandledAt: undefined, failures: 0, waits: 0 };
}

function parse(recorded: Recorded): { fact: Fact | undefined; unreadable: string | undefined } {
  try {
    return { fact: parseFact(recorded), unreadable: undefined };
  } catch (error) {
    return { fact: undefined, unreadable: String(error) };
  }
}

import { BEGINNING, type Position } from '#schemas/brand.ts';
import { parseFact, type Fact } from '#schemas/events/facts.ts';
import type { Batch, Recorded } from '#shared/log/event-log.ts';
import type { Consumer, Outcome } from './bus.ts';
import { outcomeOf } from './outcome-of.ts';
import { createHeldGroup } from './held-group.ts';
import { createLanes, type Entry } from './lanes.ts';
import type { Held } from './lead.ts';
import type { LogBusDeps } from './log-bus.ts';
import { createParkedKeys } from './parked-keys.ts';
import { backoffMs, createPatience } from './patience.ts';
import type { Room } from './room.ts';
import type { Slots } from './slots.ts';

/** About 20 MB of facts. Counts what is not finished, so a slow key costs memory, never the others' progress, until it alone fills this. */
export const UNFINISHED_MAX = 20_000;
/** What a restart may have to look at again: handlers find their own steps in the log, so this is only time. */
const CHECKPOINT_EVERY_MS = 250;
/** Redrives made through another process are seen within this. */
export const REDRIVE_LOOK_EVERY_MS = 1_000;

/** What one run works on: all of a group's keys, or a share of them. */
export interface Share {
  readonly held: Held;
  /** Whether the facts of this key are this share's. */
  has(key: string): boolean;
  /** Its facts after that position, in the order of the log for each key, by the rules of EventLog.subscribe. */
  follow(after: Position, signal: AbortSignal): AsyncIterable<Batch>;
  readonly slots: Slots;
  readonly room: Room;
  /** Everything up to here is worked on, or set aside, and that is remembered. */
  onSaved?(checkpoint: Position): void;
}

export interface GroupRun {
  readonly group: string;
  /** Resolves when the consumer was told to stop and everything in hand has ended. */
  readonly ended: Promise<void>;
  lookForRedriven(): Promise<void>;
}

/** Works for one share of a consumer group, for one term: takes facts into lanes, hands them out, acts on the outcomes. */
export function runShare(deps: Omit<LogBusDeps, 'log' | 'progress'>, consumer: Consumer, share: Share): GroupRun {
  const { logger, now, sleep } = deps;
  const { held, slots } = share;
  const { signal } = held;
  const store = createHeldGroup(deps.store, held, consumer.group);
  const { untilStored, every } = createPatience(deps, consumer.group, signal);
  const lanes = createLanes();
  const parked = createParkedKeys({ store, has: share.has, now, untilStored });
  const inHand = new Set<Promise<void>>();
  const wanted = new Set<string>(consumer.types);
  let savedCheckpoint: Position | undefined;
  const room = share.room.enter();
  const leaveSlots = slots.join(pump);

  return { group: consumer.group, ended: run(), lookForRedriven };

  async function run(): Promise<void> {
    let after = BEGINNING;
    await untilStored(async () => { after = (await store.loadCheckpoint()) ?? BEGINNING; });
    await untilStored(() => parked.load());
    await untilStored(() => lookForRedriven());
    const keeping = every(CHECKPOINT_EVERY_MS, async () => { pump(); await saveCheckpoint(); });
    let before = after;
    for await (const batch of share.follow(after, signal)) {
      for (const recorded of batch.facts) {
        if (wanted.has(recorded.type)) await takeIn(recorded, before);
        before = recorded.position;
      }
      lanes.gaveUpTo(batch.position);
      before = batch.position;
    }
    await keeping;
    while (inHand.size > 0) await Promise.all(inHand);
    leaveSlots();
    room.leave();
    await saveCheckpoint().catch(() => undefined); // Lost only time: see CHECKPOINT_EVERY_MS.
  }

  async function takeIn(recorded: Recorded, before: Position): Promise<void> {
    if (parked.isRedriven(recorded.position)) return;
    if (parked.has(recorded.key) && (await parked.parkBehind(recorded))) return;
    lanes.add(entryOf(recorded, before, false));
    room.hold(lanes.unfinishedCount);
    pump();
    while (room.isFull() && !signal.aborted) await room.untilRoom(signal);
  }

  async function lookForRedriven(): Promise<void> {
    await parked.takeRedriven((recorded) => lanes.add(entryOf(recorded, recorded.position, true)));
    pump();
  }

  function pump(): void {
    while (slots.areFree() && !signal.aborted && held.isSure()) {
      const entry = lanes.take();
      if (entry === undefined) return;
      slots.take();
      const working = work(entry).finally(() => inHand.delete(working));
      inHand.add(working);
    }
  }

  async function work(entry: Entry): Promise<void> {
    const outcome = await outcomeOf({ consumer, held, logger, now }, entry, lanes.behind(entry));
    slots.give();
    await act(entry, outcome);
    pump();
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
    if (entry.isRedriven) await untilStored(() => store.forget(entry.recorded.position));
    lanes.finish(entry);
    room.hold(lanes.unfinishedCount);
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
    room.hold(lanes.unfinishedCount);
  }

  async function saveCheckpoint(): Promise<void> {
    const checkpoint = lanes.checkpoint();
    if (checkpoint === undefined || checkpoint === savedCheckpoint) return;
    await store.saveCheckpoint(checkpoint);
    savedCheckpoint = checkpoint;
    share.onSaved?.(checkpoint);
  }
}

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

import type { Position } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { FanOut, Listener } from './fan-out.ts';
import { createFrames, toldFact, type Frames, type ToldFact } from './pub-frame.ts';
import type { Turns } from './turns.ts';

/** Appends use the same connections: with two pages at once, half of them stay free. */
const READS_AT_ONCE = 2;
/** When the tables go back (they are being built again), there is nothing to read for a while. */
const LOOK_AGAIN_MS = 200;

/** Who reads: a socket or a stream. */
export interface Line {
  pub(fact: ToldFact, told: { channels: readonly string[]; previous: string; frames: Frames }): void;
  progress(channels: readonly string[], progress: Progress): void;
  /** Whether a catch-up should wait for the reader. */
  isBehind(): boolean;
  /** Resolves when the reader has caught up with what was written, or was let go. */
  drained(): Promise<void>;
}

export interface SubscriptionDeps {
  readonly log: Pick<EventLog, 'readStream'>;
  readonly store: Pick<ReadStore, 'facts' | 'factsOf' | 'position'>;
  readonly projected: PositionSignal;
  readonly fanOut: FanOut;
  readonly epoch: string;
  /** Catch-ups of this process take turns in reading. */
  readonly turns: Turns;
  readonly limits: LiveLimits;
}

export interface LiveLimits {
  /** Beyond this a client loads the state anew instead: catching up would take longer. */
  readonly catchUpFacts: number;
  readonly pageFacts: number;
  /** A reader that leaves more than this unread is let go. */
  readonly backlogBytes: number;
  /** A catch-up runs as fast as its reader: beyond this it waits. */
  readonly behindBytes: number;
}
/** 4 MiB are some 4,000 facts. */
export const LIMITS: LiveLimits = { catchUpFacts: 10_000, pageFacts: 200, backlogBytes: 4 * 1_048_576, behindBytes: 256 * 1_024 };

/** Channels that are told as one, in the log's order: first what was missed, then what comes, every position once. */
export interface Subscription {
  /** The position to resume from. */
  position(): string;
  /** Tells what was missed. Resolves when live, or when the signal aborts. @throws Unavailable */
  catchUp(signal: AbortSignal): Promise<void>;
  /** Nothing comes any more. */
  end(): void;
}

/** The projects among the channels must be held (`open-subscription.ts`), and are released at the end. */
export function createSubscription(deps: SubscriptionDeps, { channels, since, line }: { channels: readonly string[]; since: Position; line: Line }): Subscription {
  const { fanOut } = deps;
  const projects = channels.filter((channel) => channel.startsWith('project:')).map((channel) => channel.slice('project:'.length));
  let told = positionOutside(deps.epoch, since);
  /** Nothing at or before this is to be told any more. */
  let reached = since;
  let hasEnded = false;

  const listener: Listener = { channels, take, progress: line.progress };

  /** The one way out: catching up, recent facts and live ones may all bring the same fact; the position decides. */
  function take(fact: ToldFact, frames: Frames): void {
    if (hasEnded || fact.position <= reached) return;
    const own = channels.length === 1 ? channels : fanOut.channelsOf(channels, fact.key);
    // Who was in a project may have left it since.
    if (own.length === 0) return;
    reached = fact.position;
    const previous = told;
    told = fact.outside;
    line.pub(fact, { channels: own, previous, frames });
  }

  function pass(fact: ToldFact): void {
    if (fanOut.channelsOf(channels, fact.key).length > 0) take(fact, createFrames(fact));
    else if (fact.position > reached) reached = fact.position;
  }

  return {
    position: () => told,

    async catchUp(signal) {
      while (!signal.aborted && !hasEnded) {
        const recent = fanOut.recent.after(reached);
        if (recent === undefined) await tellPage(signal);
        else if (replay(recent)) {
          // Nothing was awaited since the recent facts were looked at: no fact slips between.
          fanOut.listen(listener);
          return;
        }
        if (line.isBehind()) await line.drained();
      }
    },

    end() {
      if (hasEnded) return;
      hasEnded = true;
      fanOut.leave(listener);
      for (const project of projects) fanOut.members.release(project);
    },
  };

  /** True when all of them were told. */
  function replay(recent: readonly ToldFact[]): boolean {
    for (const fact of recent) {
      if (line.isBehind()) return false;
      pass(fact);
    }
    return true;
  }

  async function tellPage(signal: AbortSignal): Promise<void> {
    // A turn is for reading only: who is slow to take what was read keeps nobody waiting.
    const { facts, isLast, upTo } = await deps.turns.take(readPage);
    for (const fact of facts) {
      if (line.isBehind()) await line.drained();
      pass(fact);
    }
    if (!isLast) return;
    if (upTo > reached) reached = upTo;
    else if (facts.length === 0) await deps.projected.next(LOOK_AGAIN_MS, signal);
  }

  async function readPage(): Promise<{ facts: readonly ToldFact[]; isLast: boolean; upTo: Position }> {
    const { keys, upTo } = await scope();
    const limit = deps.limits.pageFacts;
    const found = keys === undefined ? await deps.store.facts({ after: reached, limit }) : await deps.store.factsOf({ keys, after: reached, limit });
    // Behind that position others may have joined, whose facts were not asked for.
    const page = found.filter(({ position }) => position <= upTo);
    const facts = await mapBounded(page, READS_AT_ONCE, async ({ stream, revision, position }) => {
      const [fact] = await deps.log.readStream(stream, { from: revision, limit: 1 });
      if (fact === undefined) throw new Error(`the index names revision ${revision} of ${stream} at ${position}, which the log does not have`);
      return toldFact(deps.epoch, fact);
    });
    return { facts, upTo, isLast: page.length < limit };
  }

  /** Whose facts are to be read (undefined: everybody's), and up to where that is known. */
  async function scope(): Promise<{ keys: readonly string[] | undefined; upTo: Position }> {
    if (channels.includes('all') || projects.length === 0) {
      const upTo = await deps.store.position();
      return { keys: channels.includes('all') ? undefined : channels.map((channel) => channel.slice('codebase:'.length)), upTo };
    }
    const looks = [];
    for (const project of projects) looks.push(await fanOut.members.refresh(project));
    const upTo = looks.map(({ position }) => position).reduce((least, position) => (position < least ? position : least));
    const codebases = channels.filter((channel) => channel.startsWith('codebase:')).map((channel) => channel.slice('codebase:'.length));
    return { keys: [...new Set([...projects, ...codebases, ...looks.flatMap((look) => look.codebases)])], upTo };
  }
}

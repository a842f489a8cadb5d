import type { Position } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { FanOut, Listener } from './fan-out.ts';
import type { Hearing } from './rights.ts';
import { createFrames, type Frames, type ToldFact } from './pub-frame.ts';
import { readMissed } from './read-missed.ts';
import type { Turns } from './turns.ts';

/** When the tables go back (they are being built again), there is nothing to read for a while. */
const LOOK_AGAIN_MS = 200;

/** Who reads: a socket or a stream. */
export interface Line {
  pub(fact: ToldFact, told: { channels: readonly string[]; previous: string; frames: Frames }): void;
  progress(channels: readonly string[], progress: Progress): void;
  /** Nothing comes any more: this channel may no longer be listened to. Never before the catch-up begins. */
  lost(channel: string): void;
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

/**
 * The projects among the channels must be held (`open-subscription.ts`), and are released at the end, as what may be heard is.
 * @param hearing of who is no system admin; without one, everything is told
 */
export function createSubscription(deps: SubscriptionDeps, { channels, since, line, hearing }: { channels: readonly string[]; since: Position; line: Line; hearing: Hearing | undefined }): Subscription {
  const { fanOut } = deps;
  const projects = channels.filter((channel) => channel.startsWith('project:')).map((channel) => channel.slice('project:'.length));
  let told = positionOutside(deps.epoch, since);
  /** Nothing at or before this is to be told any more. */
  let reached = since;
  let hasBegun = false;
  let hasEnded = false;

  const listener: Listener = {
    channels, take,
    progress(own, progress) { if (hearing === undefined || hearing.mayHearOf(progress.codebaseId)) line.progress(own, progress); },
  };
  hearing?.onLost(() => { end(); if (hasBegun) tellLost(); });

  /** The one way out: catching up, recent facts and live ones may all bring the same fact; the position decides. */
  function take(fact: ToldFact, frames: Frames): void {
    if (hasEnded || fact.position <= reached) return;
    if (hearing?.mayHear(fact) === false) return;
    const own = channels.length === 1 ? channels : fanOut.channelsOf(channels, fact.key);
    // Who was in a project may have left it since.
    if (own.length === 0) return;
    reached = fact.position;
    const previous = told;
    told = fact.outside;
    line.pub(fact, { channels: own, previous, frames });
  }

  function pass(fact: ToldFact): void {
    if (hearing?.mayHear(fact) !== false && fanOut.channelsOf(channels, fact.key).length > 0) take(fact, createFrames(fact));
    else if (fact.position > reached) reached = fact.position;
  }

  return {
    position: () => told,

    async catchUp(signal) {
      hasBegun = true;
      tellLost();
      while (!signal.aborted && !hasEnded) {
        const recent = fanOut.recent.after(reached);
        if (recent === undefined) await tellPage(signal);
        else if (replay(recent)) {
          // Nothing was awaited since the recent facts were looked at: no fact slips between.
          if (!hasEnded) fanOut.listen(listener);
          return;
        }
        if (line.isBehind()) await line.drained();
      }
    },

    end,
  };

  function end(): void {
    if (hasEnded) return;
    hasEnded = true;
    fanOut.leave(listener);
    hearing?.release();
    for (const project of projects) fanOut.members.release(project);
  }

  function tellLost(): void {
    const channel = hearing?.refused();
    if (channel !== undefined) line.lost(channel);
  }

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
    const { facts, isLast, upTo } = await deps.turns.take(() => readMissed(deps, { channels, hearing, after: reached }));
    // Judged when it is made: the tables may be ahead of what was told live, and of what was taken since.
    if (hearing !== undefined) await fanOut.rights.look();
    for (const fact of facts) {
      if (line.isBehind()) await line.drained();
      pass(fact);
    }
    if (!isLast) return;
    if (upTo > reached) reached = upTo;
    else if (facts.length === 0) await deps.projected.next(LOOK_AGAIN_MS, signal);
  }
}

import type { Position } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createProjectMembers, type ProjectMembers } from './project-members.ts';
import { createFrames, toldFact, type Frames, type ToldFact } from './pub-frame.ts';
import { createRecentFacts, type RecentFacts } from './recent-facts.ts';
import { createRights, type Rights } from './rights.ts';

/** Somebody live: what comes on its channels is handed to it, in order. */
export interface Listener {
  readonly channels: readonly string[];
  take(fact: ToldFact, frames: Frames): void;
  /** A courtesy: whoever is behind passes it over. */
  progress(channels: readonly string[], progress: Progress): void;
}

export interface FanOut {
  readonly recent: RecentFacts;
  readonly members: ProjectMembers;
  readonly rights: Rights;
  /** Facts that became readable, in the log's order. Call it again only when it has resolved. */
  tell(facts: readonly Recorded[], signal: AbortSignal): Promise<void>;
  progress(progress: Progress): void;
  listen(listener: Listener): void;
  leave(listener: Listener): void;
  /** Those of the channels that a fact of this key belongs to. */
  channelsOf(channels: readonly string[], key: string): string[];
}

export interface FanOutDeps {
  readonly store: Pick<ReadStore, 'members'>;
  /** Of the database itself: rights are no older than what is told. */
  readonly rightsOf: ReadStore['rightsOf'];
  readonly projected: PositionSignal;
  readonly epoch: string;
  /** Lets others of this process have a turn. */
  yieldTurn(): Promise<void>;
}

const LOOK_AGAIN_MS = 200;
/** About 10 ms of writing: then HTTP requests and pings get their turn. */
const DELIVERIES_A_TURN = 1_000;

/** Hands every fact to those who listen to a channel that it belongs to, and keeps the last of them for who comes back. */
export function createFanOut(deps: FanOutDeps, { from, recentMax }: { from: Position; recentMax?: number }): FanOut {
  const members = createProjectMembers(deps);
  const rights = createRights({ rightsOf: deps.rightsOf, projectsOf: members.projectsOf });
  const recent = createRecentFacts({ from, factsMax: recentMax });
  const listeners = new Map<string, Set<Listener>>();
  const channelsWith = (key: string) => ['all', `codebase:${key}`, `project:${key}`, ...[...members.projectsOf(key)].map((project) => `project:${project}`)];

  return {
    recent, members, rights,

    async tell(facts, signal) {
      await lookAtMembers(facts, signal);
      // The tables have these facts already: nothing behind a right that was taken is told to who had it.
      if (rights.areChangedBy(facts)) await untilAnswered(rights.look, signal);
      if (signal.aborted) return;
      let deliveries = 0;
      for (const one of facts) {
        const fact = toldFact(deps.epoch, one);
        const frames = createFrames(fact);
        // Kept first: who goes live while this fact is being handed out has taken it from there.
        recent.push(fact);
        for (const channel of channelsWith(fact.key)) {
          for (const listener of listeners.get(channel) ?? []) {
            listener.take(fact, frames);
            deliveries += 1;
            if (deliveries % DELIVERIES_A_TURN === 0) await deps.yieldTurn();
          }
        }
      }
    },

    progress(progress) {
      const channels = channelsWith(progress.codebaseId);
      const told = new Set<Listener>();
      for (const listener of channels.flatMap((channel) => [...(listeners.get(channel) ?? [])])) {
        if (told.has(listener)) continue;
        told.add(listener);
        listener.progress(listener.channels.filter((channel) => channels.includes(channel)), progress);
      }
    },

    listen(listener) {
      for (const channel of listener.channels) listeners.set(channel, (listeners.get(channel) ?? new Set()).add(listener));
    },
    leave(listener) {
      for (const channel of listener.channels) {
        listeners.get(channel)?.delete(listener);
        if (listeners.get(channel)?.size === 0) listeners.delete(channel);
      }
    },

    channelsOf: (channels, key) => channels.filter((channel) => channel === 'all' || channel === `codebase:${key}` || channel === `project:${key}`
      || (channel.startsWith('project:') && members.isMember(channel.slice('project:'.length), key))),
  };

  /**
   * Who is in a project changes by facts of the project. The tables have those of this batch already; they are looked at
   * before any of it is told, so that nobody who joined misses what comes behind their joining.
   */
  async function lookAtMembers(facts: readonly Recorded[], signal: AbortSignal): Promise<void> {
    const changed = new Set(facts.filter(({ stream, key }) => stream.startsWith('project-') && members.isHeld(key)).map(({ key }) => key));
    for (const project of changed) await untilAnswered(() => members.refresh(project), signal);
  }

  async function untilAnswered(look: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await look();
        return;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        await deps.projected.next(LOOK_AGAIN_MS, signal);
      }
    }
  }
}

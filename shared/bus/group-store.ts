import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ParkedKey } from './bus.ts';

/** What a consumer group must remember over a restart. @throws Unavailable when the store is away. */
export interface GroupStore {
  loadCheckpoint(group: string): Promise<Position | undefined>;
  saveCheckpoint(group: string, position: Position): Promise<void>;

  /** Keeps facts of a key, in order of position. The reason is the first fact's; null for those that only wait behind it. Twice is once. */
  park(group: string, key: string, facts: readonly { readonly fact: Recorded; readonly reason: string | null }[], since: string): Promise<void>;
  parked(filter: { readonly group?: string; readonly key?: string }): Promise<readonly ParkedKey[]>;
  /** Lets a parked key be worked on again; its facts stay kept until each is finished. Returns how many. */
  redrive(group: string, key: string): Promise<number>;
  /** Facts of redriven keys that are not finished, in order of position. */
  redriven(group: string): Promise<readonly Recorded[]>;
  /** A redriven fact is finished. */
  forget(group: string, position: Position): Promise<void>;
}

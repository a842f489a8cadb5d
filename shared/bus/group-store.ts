import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ParkedKey } from './bus.ts';

/** That one process, and no other, works under this name: for a group, for a share of one, or at another duty. */
export interface Lease {
  readonly name: string;
  /** Grows with each holder. */
  readonly term: number;
}

/** By what right a group's memory is written: the lease is the whole group's, or that of a share of its keys. */
export interface Claim {
  readonly lease: Lease;
  readonly group: string;
}

/** Leases run by the store's clock, never by a process's. @throws Unavailable when the store is away. */
export interface LeaseStore {
  /** The lease for so long, when nobody has it: it ran out, was given back, or its holder is gone. Undefined while another has it. */
  takeLease(name: string, forMs: number): Promise<Lease | undefined>;
  /** Makes it last so long from now. False when another took it: then it is gone for good. */
  renewLease(lease: Lease, forMs: number): Promise<boolean>;
  /** Gives it back, if it is still ours. */
  endLease(lease: Lease): Promise<void>;
}

/**
 * What a consumer group must remember over a restart. What its worker writes names the worker's lease, and has its effect only
 * while no other has taken it: false otherwise, and nothing was written. @throws Unavailable when the store is away.
 */
export interface GroupStore extends LeaseStore {
  /** Of whoever works under this name. */
  loadCheckpoint(name: string): Promise<Position | undefined>;
  /** Those that there are, by name. */
  loadCheckpoints(names: readonly string[]): Promise<ReadonlyMap<string, Position>>;
  saveCheckpoint(lease: Lease, position: Position): Promise<boolean>;

  /** Keeps facts of a key, in order of position. The reason is the first fact's; null for those that only wait behind it. Twice is once. */
  park(claim: Claim, key: string, facts: readonly { readonly fact: Recorded; readonly reason: string | null }[], since: string): Promise<boolean>;
  parked(filter: { readonly group?: string; readonly key?: string }): Promise<readonly ParkedKey[]>;
  /** Lets a parked key be worked on again, as people ask for it; its facts stay kept until each is finished. Returns how many. */
  redrive(group: string, key: string): Promise<number>;
  /** The same of what came behind a redriven key since. */
  redriveBehind(claim: Claim, key: string): Promise<boolean>;
  /** Facts of redriven keys that are not finished, in order of position. */
  redriven(group: string): Promise<readonly Recorded[]>;
  /** A redriven fact is finished. */
  forget(claim: Claim, position: Position): Promise<boolean>;
}

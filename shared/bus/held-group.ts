import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ParkedKey } from './bus.ts';
import type { GroupStore } from './group-store.ts';
import type { Held } from './lead.ts';

/** Another process works for this group, or this share of it: whatever was to be written was not. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** A group's memory as the one has it who works for it, or for a share of its keys. Each write ends the term, and throws LeaseLost, when another has taken over. */
export interface HeldGroup {
  loadCheckpoint(): Promise<Position | undefined>;
  saveCheckpoint(position: Position): Promise<void>;
  park(key: string, facts: Parameters<GroupStore['park']>[2], since: string): Promise<void>;
  parked(): Promise<readonly ParkedKey[]>;
  redriveBehind(key: string): Promise<void>;
  redriven(): Promise<readonly Recorded[]>;
  forget(position: Position): Promise<void>;
}

export function createHeldGroup(store: GroupStore, { lease, lose }: Pick<Held, 'lease' | 'lose'>, group = lease.name): HeldGroup {
  const claim = { lease, group };
  const whileHeld = async (writing: Promise<boolean>) => {
    if (await writing) return;
    lose();
    throw new LeaseLost(`another process works for ${lease.name} since term ${lease.term}`);
  };

  return {
    // A share that has none yet goes on where the group was when one process did all of it.
    loadCheckpoint: async () => (await store.loadCheckpoint(lease.name)) ?? store.loadCheckpoint(group),
    saveCheckpoint: (position) => whileHeld(store.saveCheckpoint(lease, position)),
    park: (key, facts, since) => whileHeld(store.park(claim, key, facts, since)),
    parked: () => store.parked({ group }),
    redriveBehind: (key) => whileHeld(store.redriveBehind(claim, key)),
    redriven: () => store.redriven(group),
    forget: (position) => whileHeld(store.forget(claim, position)),
  };
}

import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { GroupStore, Lease } from './group-store.ts';

interface Row { group: string; key: string; fact: Recorded; reason: string | null; since: string; isRedriven: boolean }

/** What processes share. */
export interface MemoryGroups {
  /** As one process has it, until `life` aborts: then its leases are free. */
  open(life: AbortSignal): GroupStore;
}

/** For tests: forgets everything with the process. Each process opens it for itself. */
export function createMemoryGroups(nowMs: () => number = () => performance.now()): MemoryGroups {
  const checkpoints = new Map<string, Position>();
  const leases = new Map<string, { lease: Lease; until: number; life: AbortSignal }>();
  const rows: Row[] = [];
  const inOrder = (wanted: (row: Row) => boolean) =>
    rows.filter(wanted).sort((a, b) => (a.fact.position < b.fact.position ? -1 : 1));
  const isHeld = ({ name, term }: Lease) => leases.get(name)?.lease.term === term;
  const whileHeld = async (lease: Lease, write: () => void) => {
    if (!isHeld(lease)) return false;
    write();
    return true;
  };
  const redrive = (group: string, key: string) => {
    const found = inOrder((row) => row.group === group && row.key === key && !row.isRedriven);
    for (const row of found) Object.assign(row, { isRedriven: true, reason: null });
    return found.length;
  };

  const groups: Omit<GroupStore, 'takeLease' | 'renewLease' | 'endLease'> = {
    loadCheckpoint: async (group) => checkpoints.get(group),
    loadCheckpoints: async (names) => new Map([...checkpoints].filter(([name]) => names.includes(name))),
    saveCheckpoint: (lease, position) => whileHeld(lease, () => { checkpoints.set(lease.name, position); }),

    park: ({ lease, group }, key, facts, since) => whileHeld(lease, () => {
      for (const { fact, reason } of facts) {
        const row = rows.find((r) => r.group === group && r.fact.position === fact.position);
        if (row === undefined) rows.push({ group, key, fact, reason, since, isRedriven: false });
        else Object.assign(row, { isRedriven: false, reason: reason ?? row.reason });
      }
    }),

    async parked({ group, key }) {
      const found = inOrder((row) => !row.isRedriven && (group ?? row.group) === row.group && (key ?? row.key) === row.key);
      const isOf = (row: Row) => (r: Row) => r.group === row.group && r.key === row.key;
      const firsts = found.filter((row) => (found.find((r) => isOf(row)(r) && r.reason !== null) ?? found.find(isOf(row))) === row);
      return firsts.map((row) => ({
        group: row.group, key: row.key, position: row.fact.position, reason: row.reason ?? 'unknown', since: row.since, type: row.fact.type,
        facts: found.filter(isOf(row)).length,
      }));
    },

    redrive: async (group, key) => redrive(group, key),
    redriveBehind: ({ lease, group }, key) => whileHeld(lease, () => { redrive(group, key); }),
    redriven: async (group) => inOrder((row) => row.group === group && row.isRedriven).map((row) => row.fact),

    forget: ({ lease, group }, position) => whileHeld(lease, () => {
      const index = rows.findIndex((row) => row.group === group && row.fact.position === position);
      if (index >= 0) rows.splice(index, 1);
    }),
  };

  return {
    open: (life) => ({
      ...groups,
      async takeLease(name, forMs) {
        const standing = leases.get(name);
        if (standing !== undefined && standing.until > nowMs() && !standing.life.aborted) return undefined;
        const lease = { name, term: (standing?.lease.term ?? 0) + 1 };
        leases.set(name, { lease, until: nowMs() + forMs, life });
        return lease;
      },
      renewLease: (lease, forMs) => whileHeld(lease, () => { leases.set(lease.name, { lease, until: nowMs() + forMs, life }); }),
      endLease: async (lease) => void (await whileHeld(lease, () => { leases.set(lease.name, { lease, until: -Infinity, life }); })),
    }),
  };
}

/** Of one process. */
export const createMemoryGroupStore = (): GroupStore => createMemoryGroups().open(new AbortController().signal);

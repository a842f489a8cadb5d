import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { GroupStore } from './group-store.ts';

interface Row { group: string; key: string; fact: Recorded; reason: string | null; since: string; isRedriven: boolean }

/** For tests: forgets everything with the process. */
export function createMemoryGroupStore(): GroupStore {
  const checkpoints = new Map<string, Position>();
  const rows: Row[] = [];
  const inOrder = (wanted: (row: Row) => boolean) =>
    rows.filter(wanted).sort((a, b) => (a.fact.position < b.fact.position ? -1 : 1));

  return {
    loadCheckpoint: async (group) => checkpoints.get(group),
    saveCheckpoint: async (group, position) => void checkpoints.set(group, position),

    async park(group, key, facts, since) {
      for (const { fact, reason } of facts) {
        const row = rows.find((r) => r.group === group && r.fact.position === fact.position);
        if (row === undefined) rows.push({ group, key, fact, reason, since, isRedriven: false });
        else Object.assign(row, { isRedriven: false, reason: reason ?? row.reason });
      }
    },

    async parked({ group, key }) {
      const found = inOrder((row) => !row.isRedriven && (group ?? row.group) === row.group && (key ?? row.key) === row.key);
      const isOf = (row: Row) => (r: Row) => r.group === row.group && r.key === row.key;
      const firsts = found.filter((row) => (found.find((r) => isOf(row)(r) && r.reason !== null) ?? found.find(isOf(row))) === row);
      return firsts.map((row) => ({
        group: row.group, key: row.key, position: row.fact.position, reason: row.reason ?? 'unknown', since: row.since, type: row.fact.type,
        facts: found.filter(isOf(row)).length,
      }));
    },

    async redrive(group, key) {
      const found = inOrder((row) => row.group === group && row.key === key && !row.isRedriven);
      for (const row of found) Object.assign(row, { isRedriven: true, reason: null });
      return found.length;
    },

    redriven: async (group) => inOrder((row) => row.group === group && row.isRedriven).map((row) => row.fact),

    async forget(group, position) {
      const index = rows.findIndex((row) => row.group === group && row.fact.position === position);
      if (index >= 0) rows.splice(index, 1);
    },
  };
}

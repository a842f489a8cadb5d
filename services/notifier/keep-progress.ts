import type { SyncId } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { Query } from '#shared/postgres/query.ts';

/** Two writes a second a sync: a poller sees movement, the database does not. */
const WRITE_EVERY_MS = 500;
/** Syncs whose end never came (a crash) must not pile up. */
const KEPT_HOURS = 24;

/** Keeps the last progress of each sync under way in a row, for who comes late. Lost rows are no loss. */
export function createProgressKeeper({ query, now }: { query: Query; now(): Date }) {
  const lastWrite = new Map<SyncId, number>();

  return {
    /** Whether it was kept: what comes sooner than that after the last is passed over. */
    keep(progress: Progress): boolean {
      const at = now().getTime();
      if (Math.abs(at - (lastWrite.get(progress.syncId) ?? 0)) < WRITE_EVERY_MS) return false;
      lastWrite.set(progress.syncId, at);
      ignore(query(
        `insert into sync_progress (sync_id, progress) values ($1, $2) on conflict (sync_id) do update set progress = excluded.progress, told_at = now()`,
        [progress.syncId, JSON.stringify(progress)]));
      return true;
    },

    forget(sync: SyncId): void {
      if (!lastWrite.delete(sync)) return;
      ignore(query(`delete from sync_progress where sync_id = $1 or told_at < now() - make_interval(hours => ${KEPT_HOURS})`, [sync]));
    },
  };
}

/** Progress is a courtesy: while the database is away there is none. */
const ignore = (write: Promise<unknown>) => void write.catch(() => undefined);

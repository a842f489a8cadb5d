import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { BEGINNING } from '#schemas/brand.ts';
import { createChannelListener } from '#shared/postgres/channel-listener.ts';
import type { MigrationOwner } from '#shared/postgres/migration-files.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { decodeFact, encodeAppend, positionOf } from './encode-append.ts';
import type { EventLog } from './event-log.ts';
import { followPages } from './follow-pages.ts';
import { createPostgresAppends } from './postgres-appends.ts';
import { createPostgresHeadWatch } from './postgres-head-watch.ts';
import { createLogQuery } from './postgres-log-query.ts';
import { createPostgresPages } from './postgres-pages.ts';
import { createJointPages } from './joint-pages.ts';

/** The tables and the function of the embedded log; `migrate` applies them. */
export const eventLogMigrations: MigrationOwner = { name: 'log', directory: migrationsDirectory(import.meta.url) };

/** Told by the trigger of migrations/0002. */
const HEAD_CHANNEL = 'tekai_log_head';
/** How late a fact that another process appended is seen at the latest, should nobody tell. One small query for all subscriptions together, and only while one waits. */
const POLL_MS = 250;

export interface PostgresEventLogOptions {
  /** Every subscription that reads takes a connection for a moment; appends take one, the look at the head another, and one listens. */
  readonly pool: Pool;
  readonly pollMs?: number;
}

/**
 * The embedded log: a table, and appends that go together. What arrives while one call of es_append is under way goes into the
 * next: no timer, and at 64 writers more appends a second than single-row inserts would give.
 */
export function createPostgresEventLog({ pool, pollMs = POLL_MS }: PostgresEventLogOptions): EventLog {
  const query = createLogQuery(pool);
  const turn = createPostgresHeadWatch(query, { pollMs });
  const readPage = createJointPages(createPostgresPages(query), turn);
  // A hint: what it misses, the look at the head finds.
  const listener = createChannelListener(pool, { channel: HEAD_CHANNEL, onPayload: turn.reached });
  const appends = createPostgresAppends(query, { onAppended: turn.reached });

  return {
    append: async (stream, expected, facts) => appends.add(encodeAppend(stream, expected, facts)),

    async readStream(stream, { from = 0, limit }) {
      const rows = await query<{ revision: string; position: string; fact: string }>({
        name: 'log-read-stream',
        text: 'select revision, position, fact from es_stream($1, $2, $3)',
        values: [stream, from, limit],
      });
      return rows.map((row) => decodeFact(row.fact, { stream, revision: Number(row.revision), position: positionOf(row.position) }));
    },

    async *subscribe(options) {
      const letGo = listener.hold();
      try {
        yield* followPages({ readPage, turn, sleep: (ms, signal) => delay(ms, undefined, { signal }) }, options);
      } finally {
        letGo();
      }
    },

    async head() {
      const [row] = await query<{ head: string | null }>({ name: 'log-head', text: 'select max(position) as head from log_facts' });
      return row?.head ? positionOf(row.head) : BEGINNING;
    },

    async epoch() {
      const [row] = await query<{ epoch: string }>({ name: 'log-epoch', text: 'select epoch from log_head' });
      if (row === undefined) throw new Error('log_head has no row: the log was emptied by hand; restore it from a backup');
      return row.epoch;
    },
  };
}

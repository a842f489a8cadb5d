import type { SourceId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';
import { createGroupCommit } from '#shared/runtime/group-commit.ts';

export interface DeliveryRow {
  readonly deliveryId: string;
  readonly sourceId: SourceId;
  readonly receivedAt: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Group commit: 64 bodies or 32 MiB in one insert, whichever comes first; the largest body alone is 25 MiB. */
const ROWS_MAX = 64;
const BYTES_MAX = 32 * 1_048_576;

/** Deliveries of that month came before its partition did: they stay where they are, and so does the month. */
const CATCH_ALL_HAS_ROWS = '23514';

export interface Deliveries {
  /** Durable once resolved. The same delivery again leaves the first body. @throws Unavailable */
  write(row: DeliveryRow): Promise<void>;
  /** Makes the partitions of this month and the next. @throws Unavailable */
  prepareMonths(now: Date): Promise<void>;
}

/** The table of raw webhook bodies: ingress's own, written before the fact that names them. */
export function createDeliveries(query: Query): Deliveries {
  const commits = createGroupCommit<DeliveryRow, void>({
    itemsMax: ROWS_MAX,
    bytesMax: BYTES_MAX,
    bytesOf: (row) => row.body.length,
    async commit(rows) {
      await query(
        `insert into deliveries (delivery_id, source_id, received_at, headers, body)
         select distinct on (d.delivery_id, d.source_id) d.* from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::bytea[])
           as d(delivery_id, source_id, received_at, headers, body)
         where not exists (select from deliveries known where known.delivery_id = d.delivery_id and known.source_id = d.source_id)`,
        [rows.map((r) => r.deliveryId), rows.map((r) => r.sourceId), rows.map((r) => r.receivedAt), rows.map((r) => JSON.stringify(r.headers)), rows.map((r) => r.body)]);
      return rows.map(() => undefined);
    },
  });

  return {
    write: (row) => commits.add(row),
    async prepareMonths(now) {
      for (const ahead of [0, 1]) {
        const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1)).toISOString().slice(0, 10);
        const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1, 1)).toISOString().slice(0, 10);
        await query(`create table if not exists deliveries_${from.slice(0, 7).replace('-', '_')} partition of deliveries for values from ('${from}') to ('${to}')`)
          .catch((error: unknown) => { if ((error as { code?: string }).code !== CATCH_ALL_HAS_ROWS) throw error; });
      }
    },
  };
}

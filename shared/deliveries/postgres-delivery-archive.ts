import type { Pool } from 'pg';
import { createQuery } from '#shared/postgres/query.ts';
import type { DeliveryArchive } from './delivery-archive.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Ingress's table `deliveries`. */
export function createPostgresDeliveryArchive({ pool }: { readonly pool: Pool }): DeliveryArchive {
  const query = createQuery(pool);

  return {
    async find(source, id) {
      if (!UUID.test(id) || !UUID.test(source)) return undefined;
      const [row] = await query<{ received_at: Date; headers: string; bytes: number }>(
        'select received_at, headers, octet_length(body) as bytes from deliveries where delivery_id = $1 and source_id = $2 order by received_at limit 1', [id, source]);
      return row === undefined ? undefined : { receivedAt: row.received_at.toISOString(), headers: JSON.parse(row.headers) as Record<string, string>, bodyBytes: row.bytes };
    },

    async body(source, id) {
      if (!UUID.test(id) || !UUID.test(source)) return undefined;
      const [row] = await query<{ body: Buffer }>('select body from deliveries where delivery_id = $1 and source_id = $2 order by received_at limit 1', [id, source]);
      return row?.body;
    },
  };
}

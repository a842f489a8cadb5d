import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import { deliveryArchiveContract } from './delivery-archive.contract.ts';
import { createPostgresDeliveryArchive } from './postgres-delivery-archive.ts';

deliveryArchiveContract('postgres', async (kept) => {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'ingress', directory: new URL('../../services/ingress/migrations/', import.meta.url).pathname }] });
  const pool = createPool(database.url, { connectionsMax: 2, applicationName: 'delivery-archive-test' });
  for (const { deliveryId, sourceId, receivedAt, headers, body } of kept) {
    await pool.query('insert into deliveries (delivery_id, source_id, received_at, headers, body) values ($1, $2, $3, $4, $5)', [deliveryId, sourceId, receivedAt, JSON.stringify(headers), body]);
  }
  return { archive: createPostgresDeliveryArchive({ pool }), close: async () => { await pool.end(); await database.drop(); } };
});

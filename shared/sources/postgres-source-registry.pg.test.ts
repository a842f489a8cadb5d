import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import { createPostgresSourceRegistry } from './postgres-source-registry.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'ingress', directory: migrationsDirectory(new URL('../../services/ingress/owner', import.meta.url).href) }] });
  pool = new Pool({ connectionString: database.url });
});
afterAll(async () => { await pool.end(); await database.drop(); });

test('whatever secret a source brought is gone from the vault once it is forgotten', async () => {
  const vault = createMemorySecretVault();
  const there = new Set<string>();
  const registry = createPostgresSourceRegistry({ pool, vault: {
    ...vault,
    put: async (name, value) => { await vault.put(name, value); there.add(name); },
    delete: async (name) => { await vault.delete(name); there.delete(name); },
  } });
  const sourceId = randomUUID() as SourceId;
  await registry.save({
    sourceId, name: 'x', baseUrl: 'https://x', caPem: null, token: 'a-token', proxyUrl: 'http://u:p@proxy', client: { certPem: 'cert', keyPem: 'key' }, digest: 'd', webhookToken: 'w', signingToken: 's',
  });
  expect(await registry.access(sourceId)).toMatchObject({ token: 'a-token', proxyUrl: 'http://u:p@proxy', client: { keyPem: 'key' } });
  expect(there.size).toBe(5);
  await registry.forget(sourceId);
  expect([...there]).toEqual([]);
  expect(await registry.access(sourceId)).toBeUndefined();
});

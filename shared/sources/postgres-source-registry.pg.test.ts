import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import { createPostgresSourceRegistry } from './postgres-source-registry.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: ['identity', 'ingress'].map((name) => ({ name, directory: migrationsDirectory(new URL(`../../services/${name}/owner`, import.meta.url).href) })) });
  pool = createPool(database.url, { connectionsMax: 10, applicationName: 'test' });
});
afterAll(async () => { await pool.end(); await database.drop(); });

/** With the names of what is in its vault. */
function registryWatched() {
  const vault = createMemorySecretVault();
  const there = new Set<string>();
  const registry = createPostgresSourceRegistry({ pool, vault: {
    ...vault,
    put: async (name, value) => { await vault.put(name, value); there.add(name); },
    delete: async (name) => { await vault.delete(name); there.delete(name); },
  } });
  return { registry, there };
}

test('whatever secret a source brought is gone from the vault once it is forgotten', async () => {
  const { registry, there } = registryWatched();
  const sourceId = randomUUID() as SourceId;
  await registry.save({
    sourceId, name: 'x', baseUrl: 'https://x', caPem: null, token: 'a-token', proxyUrl: 'http://u:p@proxy', client: { certPem: 'cert', keyPem: 'key' }, allowAddresses: ['10.0.0.0/8'], digest: 'd', webhookToken: 'w', signingToken: 's',
  });
  expect(await registry.access(sourceId)).toMatchObject({ token: 'a-token', proxyUrl: 'http://u:p@proxy', client: { keyPem: 'key' }, allowAddresses: ['10.0.0.0/8'] });
  expect(there.size).toBe(5);
  await registry.forget(sourceId);
  expect([...there]).toEqual([]);
  expect(await registry.access(sourceId)).toBeUndefined();
});

test('webhook secrets that are changed are good beside the ones before, are made once for a change however often it is told, and are gone when they are good no longer', async () => {
  const { registry, there } = registryWatched();
  const sourceId = randomUUID() as SourceId;
  await registry.save({ sourceId, name: 'x', baseUrl: 'https://x', caPem: null, token: 'a-token', proxyUrl: null, client: null, allowAddresses: [], digest: 'd', webhookToken: 'w', signingToken: 's' });
  const at = new Date('2026-11-30T00:00:00Z');
  const good = () => registry.webhookSecrets(sourceId);
  expect(await good()).toEqual({ tokens: ['w'], signingTokens: ['s'] });
  await registry.renewWebhookSecrets(sourceId, { revision: 4, at });
  const first = await good();
  expect(first).toMatchObject({ tokens: [expect.stringMatching(/^.{43}$/), 'w'], signingTokens: [expect.stringMatching(/^whsec_.{44}$/), 's'], revision: 4, formerUntil: new Date('2026-12-01T00:00:00Z') });
  // Told again after a crash, and told late.
  for (const revision of [4, 2]) await registry.renewWebhookSecrets(sourceId, { revision, at: new Date() });
  expect(await good()).toEqual(first);
  await registry.renewWebhookSecrets(sourceId, { revision: 7, at });
  const second = await good();
  // Those before the ones before stay good: some webhook may not have been reached by the first change yet.
  expect([second?.tokens.slice(1), second?.signingTokens.slice(1), there.size]).toEqual([first?.tokens, first?.signingTokens, 7]);
  // Of a change that was overtaken nothing is dropped.
  await registry.dropFormerSecrets(sourceId, 4);
  expect(await good()).toEqual(second);
  await registry.dropFormerSecrets(sourceId, 7);
  expect([await good(), there.size]).toEqual([{ tokens: second?.tokens.slice(0, 1), signingTokens: second?.signingTokens.slice(0, 1), revision: 7 }, 3]);
  for (const revision of [9, 11, 12]) await registry.renewWebhookSecrets(sourceId, { revision, at });
  await registry.forget(sourceId);
  expect([...there]).toEqual([]);
});

test('changed again and again, the newest few of a day are good; a day after the last change only the ones before a new one are', async () => {
  const { registry, there } = registryWatched();
  const sourceId = randomUUID() as SourceId;
  await registry.save({ sourceId, name: 'x', baseUrl: 'https://x', caPem: null, token: 'a-token', proxyUrl: null, client: null, allowAddresses: [], digest: 'd', webhookToken: 'w', signingToken: 's' });
  const made: string[] = ['w'];
  const renew = async (revision: number, at: string) => {
    await registry.renewWebhookSecrets(sourceId, { revision, at: new Date(at) });
    const good = await registry.webhookSecrets(sourceId);
    made.unshift(good!.tokens[0]!);
    expect([good?.signingTokens.length, there.size]).toEqual([good?.tokens.length, 1 + 2 * good!.tokens.length]);
    return good?.tokens;
  };
  for (let n = 1; n <= 6; n += 1) expect(await renew(n, `2026-11-30T0${n}:00:00Z`)).toEqual(made.slice(0, 5));
  expect(await renew(7, '2026-12-01T06:00:00Z')).toEqual(made.slice(0, 2));
  await registry.dropFormerSecrets(sourceId, 7);
  expect(await renew(8, '2026-12-01T07:00:00Z')).toEqual(made.slice(0, 2));
});

test('by whom people sign in goes with the source, and nobody else is taken away', async () => {
  const { registry } = registryWatched();
  const [gone, kept] = [randomUUID() as SourceId, randomUUID() as SourceId];
  for (const source of [gone, kept]) await pool.query(`insert into identity_sign_in_settings (source_id, client_id, unknown_users, changed_at) values ($1, 'c', 'refuse', now())`, [source]);
  await registry.forget(gone);
  expect((await pool.query('select source_id from identity_sign_in_settings')).rows).toEqual([{ source_id: kept }]);
});

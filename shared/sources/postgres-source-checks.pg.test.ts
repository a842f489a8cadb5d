import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import type { SourceCheck } from '#schemas/api/sources.ts';
import type { SourceId } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import { createPostgresSourceChecks } from './postgres-source-checks.ts';
import type { SourceChecks } from './source-checks.ts';

let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
let checks: SourceChecks;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'ingress', directory: migrationsDirectory(new URL('../../services/ingress/owner', import.meta.url).href) }] });
  pool = createPool(database.url, { connectionsMax: 10, applicationName: 'test' });
  checks = createPostgresSourceChecks({ pool });
});
afterAll(async () => { await pool.end(); await database.drop(); });
beforeEach(() => pool.query('truncate sources, source_checks cascade'));

const registered = async () => {
  const id = randomUUID() as SourceId;
  await pool.query(`insert into sources (source_id, name, base_url, digest) values ($1, 'x', 'http://x', 'd')`, [id]);
  return id;
};
const NOW = new Date('2027-01-01T00:00:00Z');
const later = (hours: number) => new Date(NOW.getTime() + hours * 3_600_000);
const found = (state: SourceCheck['state'], token: Partial<SourceCheck['token']> = {}): SourceCheck => ({
  state, detail: 'said', gitlab: { version: state === 'ok' ? '19.1.0' : null }, advice: [], can: { readApi: 'yes', readRepository: 'yes', makeHooks: 'no' },
  token: { kind: 'unknown', name: 'of somebody', scopes: null, expiresAt: null, user: { username: 'somebody', isAdmin: false }, ...token },
});
const GOOD = found('ok', { kind: 'personal', scopes: ['api'], expiresAt: '2027-02-01' });
const TOKEN = 'glpat-12345678901234567890';

test('what was found is kept without names; what GitLab no longer says of a refused token stays', async () => {
  const id = await registered();
  await checks.keep(id, { check: GOOD, token: TOKEN, at: NOW });
  const good = { state: 'ok', kind: 'personal', scopes: ['api'], expiresAt: '2027-02-01', gitlabVersion: '19.1.0', lastFour: '7890', checkedAt: NOW.toISOString() };
  expect((await checks.kept()).get(id)).toEqual(good);
  await checks.keep(id, { check: found('refused'), token: TOKEN, at: later(1) });
  expect((await checks.kept()).get(id)).toEqual({ ...good, state: 'refused', checkedAt: later(1).toISOString() });
  // A good answer is the whole truth: this token never ends.
  await checks.keep(id, { check: found('ok', { kind: 'oauth' }), token: 'short', at: later(2) });
  expect((await checks.kept()).get(id)).toEqual({ ...good, kind: 'oauth', scopes: null, expiresAt: null, lastFour: null, checkedAt: later(2).toISOString() });
  expect(JSON.stringify((await pool.query('select * from source_checks')).rows)).not.toMatch(/somebody|glpat/);
});

test('a source is due at once when it was never checked, after a day when it is good, after an hour when not; by one claimant only', async () => {
  const id = await registered();
  // Connections that stand already: else the claims come one after another.
  await Promise.all(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.1)')));
  expect((await Promise.all(Array.from({ length: 10 }, () => checks.claimDue(NOW)))).filter((claimed) => claimed !== undefined)).toEqual([id]);
  // Who claimed it died: it is due again.
  expect(await checks.claimDue(later(0.1))).toBeUndefined();
  expect(await checks.claimDue(later(0.2))).toBe(id);
  expect((await checks.kept()).size).toBe(0);
  await checks.keep(id, { check: GOOD, token: TOKEN, at: NOW });
  expect([await checks.claimDue(later(23.9)), await checks.claimDue(later(24))]).toEqual([undefined, id]);
  await checks.keep(id, { check: found('refused'), token: TOKEN, at: NOW });
  expect([await checks.claimDue(later(0.9)), await checks.claimDue(later(1))]).toEqual([undefined, id]);
});

import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import type { CodebaseId, FactId, Position, RefName, SyncId } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createQuery } from '#shared/postgres/query.ts';
import { freshDatabase, type FreshDatabase } from '../../tests/harness/postgres.ts';
import { createHeads } from './heads.ts';

const MAIN = 'refs/heads/main' as RefName;
const SIDE = 'refs/heads/side' as RefName;

let database: FreshDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'fetcher', directory: new URL('./migrations', import.meta.url).pathname }] });
  pool = createPool(database.url, { connectionsMax: 4, applicationName: 'test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(() => pool.query('truncate fetcher_terms, fetcher_begun'));

const fetcher = () => createHeads(createQuery(pool));
const newOf = () => ({ codebase: randomUUID() as CodebaseId, cause: randomUUID() as FactId });

test('a fetcher that was stopped begins nothing once another has planned: what that one planned without is not begun behind it', async () => {
  const { codebase, cause } = newOf();
  const [stopped, next] = [fetcher(), fetcher()];
  await stopped.enter(codebase, 7);
  expect(await stopped.begin(codebase, MAIN, { cause, term: 7 })).toBe(true);
  await next.enter(codebase, 8);
  expect(await next.begunFor(codebase, cause)).toEqual([MAIN]);
  expect(await stopped.begin(codebase, SIDE, { cause, term: 7 })).toBe(false);
  // Entering late leads nobody back.
  await fetcher().enter(codebase, 7);
  expect(await stopped.begin(codebase, SIDE, { cause, term: 7 })).toBe(false);
  expect(await next.begunFor(codebase, cause)).toEqual([MAIN]);
  expect(await next.begin(codebase, SIDE, { cause, term: 8 })).toBe(true);
});

test('whose sync of a ref was begun last is told with that of the head which is remembered', async () => {
  const { codebase, cause } = newOf();
  const heads = fetcher();
  await heads.enter(codebase, 1);
  expect(await heads.lastBegun(codebase, MAIN)).toBeUndefined();
  await heads.begin(codebase, MAIN, { cause, term: 1 });
  await heads.begin(codebase, SIDE, { cause: newOf().cause, term: 1 });
  expect(await heads.lastBegun(codebase, MAIN)).toEqual({ cause, headSync: null });
  const sync = randomUUID() as SyncId;
  await heads.remember(codebase, { ref: MAIN, commit: null, isDeleted: false, sync }, '1' as Position);
  expect(await heads.lastBegun(codebase, MAIN)).toEqual({ cause, headSync: sync });
  const next = newOf();
  await heads.begin(codebase, MAIN, { cause: next.cause, term: 1 });
  expect(await heads.lastBegun(codebase, MAIN)).toEqual({ cause: next.cause, headSync: sync });
});

test('a later term of one codebase is nothing to another: each share of the codebases has its own', async () => {
  const [one, other] = [newOf(), newOf()];
  const [first, second] = [fetcher(), fetcher()];
  await first.enter(one.codebase, 7);
  await second.enter(other.codebase, 9);
  expect(await first.begin(one.codebase, MAIN, { cause: one.cause, term: 7 })).toBe(true);
  expect(await second.begin(other.codebase, MAIN, { cause: other.cause, term: 9 })).toBe(true);
});

test('what is begun while another takes over is seen by its plan, or not begun at all', async () => {
  for (let term = 1; term < 40; term += 2) {
    const { codebase, cause } = newOf();
    const [stopped, next] = [fetcher(), fetcher()];
    await stopped.enter(codebase, term);
    const [isBegun, planned] = await Promise.all([
      stopped.begin(codebase, MAIN, { cause, term }),
      next.enter(codebase, term + 1).then(() => next.begunFor(codebase, cause)),
    ]);
    expect(planned).toEqual(isBegun ? [MAIN] : []);
  }
});

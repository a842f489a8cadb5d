import type { Pool } from 'pg';
import type { CodebaseId, Position } from '#schemas/brand.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { createPostgresRefVectors } from './postgres-ref-vectors.ts';
import type { RefScope, RefVectors } from './ref-vectors.ts';

let database: FreshDatabase;
let pool: Pool;
let vectors: RefVectors;
const PROJECT = '99999999-9999-4999-8999-999999999999';
const [A, B, C] = ['a', 'b', 'c'] as CodebaseId[];

beforeAll(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'projector', directory: 'services/projector/migrations' }] });
  pool = createPool(database.url, { connectionsMax: 2, applicationName: 'test' });
  vectors = createPostgresRefVectors({ pool });
  for (const [id, state, defaultRef] of [[A, 'active', 'refs/heads/main'], [B, 'archived', 'refs/heads/trunk'], [C, 'removed', 'refs/heads/main']]) {
    await pool.query(`insert into read_model.codebases (codebase_id, source_id, gitlab_project_id, followed, hook_state, registered_at, state, default_ref) values ($1, '', 1, '{}', '', '', $2, $3)`, [id, state, defaultRef]);
  }
  await pool.query(`insert into read_model.project_codebases values ($1, 'a', true), ($1, 'b', false), ($1, 'c', true)`, [PROJECT]);
  const versions = [
    ['a', 'refs/heads/main', 'p1', 'stored', 't1'], ['a', 'refs/heads/main', 'p4', 'stored', 't4'], ['a', 'refs/heads/a_b', 'p2', 'stored', 't2'], ['a', 'refs/heads/axb', 'p3', 'stored', 't3'],
    ['b', 'refs/heads/trunk', 'p2', 'stored', 't2'], ['b', 'refs/heads/trunk', 'p5', 'deleted', null], ['c', 'refs/heads/main', 'p1', 'stored', 't1'],
  ];
  for (const values of versions) {
    const columns = 'codebase_id, ref, position, state, tree_id, sync_id, stored_at, observed_at';
    await pool.query(`insert into read_model.versions (${columns}) values ($1, $2, $3, $4, $5, '', '', '')`, values);
    await pool.query(`insert into read_model.refs (${columns}) values ($1, $2, $3, $4, $5, '', '', '') on conflict (codebase_id, ref) do update set position = excluded.position, state = excluded.state, tree_id = excluded.tree_id`, values);
  }
  await pool.query(`update read_model.progress set position = 'p6'`);
});
afterAll(async () => { await pool.end(); await database.drop(); });

async function seen(scope: RefScope, at?: string): Promise<string[]> {
  const { refs, codebases, position } = await vectors.read(scope, at as Position | undefined);
  return [position, codebases.join(''), ...refs.map((one) => `${one.codebaseId} ${one.ref.slice('refs/heads/'.length)} ${one.tree}`).sort()];
}

test('default branches, or what the patterns mean and nothing more; what is removed is not there', async () => {
  const all = { kind: 'all' } as const;
  expect(await seen({ codebases: all, refs: null })).toEqual(['p6', 'ab', 'a main t4']);
  expect(await seen({ codebases: all, refs: ['refs/heads/a_b'] })).toEqual(['p6', 'ab', 'a a_b t2']);
  expect(await seen({ codebases: all, refs: ['refs/heads/a*b', 'refs/heads/%'] })).toEqual(['p6', 'ab', 'a a_b t2', 'a axb t3']);
  expect(await seen({ codebases: { kind: 'listed', ids: ['b', 'c', 'unknown'] }, refs: ['*'] })).toEqual(['p6', 'b']);
  expect(await seen({ codebases: { kind: 'project', id: PROJECT }, refs: null })).toEqual(['p6', 'a', 'a main t4']);
});

test('at a position that has passed, every ref is where it was', async () => {
  const all = { codebases: { kind: 'all' }, refs: ['*'] } as const;
  expect(await seen(all, 'p3')).toEqual(['p3', 'ab', 'a a_b t2', 'a axb t3', 'a main t1', 'b trunk t2']);
  expect(await seen(all, 'p6')).toEqual(await seen(all));
  expect(await seen(all, '')).toEqual(['', 'ab']);
});

test('what of a list is in the scope now', async () => {
  expect(await vectors.inScope({ codebases: { kind: 'project', id: PROJECT }, refs: null }, [A, B, C] as CodebaseId[])).toEqual(new Set([A]));
  expect(await vectors.inScope({ codebases: { kind: 'all' }, refs: null }, [A, B, C] as CodebaseId[])).toEqual(new Set([A, B]));
});

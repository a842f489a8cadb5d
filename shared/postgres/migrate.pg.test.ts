import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { type FreshDatabase, freshDatabase } from '../../tests/harness/postgres.ts';
import { spawnProgram } from '../../tests/harness/spawn-program.ts';
import { migrate } from './migrate.ts';
import { createPool } from './pool.ts';

let database: FreshDatabase;
let pool: pg.Pool;
let directory: string;
beforeEach(async () => {
  database = await freshDatabase();
  pool = createPool(database.url, { connectionsMax: 2, applicationName: 'test' });
  directory = await mkdtemp(join(tmpdir(), 'tekai-test-migrations-'));
});
afterEach(async () => {
  await pool.end();
  await database.drop();
  await rm(directory, { recursive: true });
});

const file = (name: string, sql: string) => writeFile(join(directory, name), sql);
const run = (owner = 'projector') => migrate({ url: database.url, owners: [{ name: owner, directory }] });
const values = async (sql: string) => (await pool.query<{ value: unknown }>(sql)).rows.map(({ value }) => value);

test('files are applied once, in the order of their numbers, whatever they contain', async () => {
  await file('0002-fill.sql', `insert into step values (2); insert into step values (3);`);
  await file('0001-make.sql', `create table step (id int, data jsonb default '{"a?": "$1"}');\n-- a ? and a $1, which knex would replace`);
  expect(await run()).toEqual([{ owner: 'projector', name: '0001-make.sql' }, { owner: 'projector', name: '0002-fill.sql' }]);
  expect(await run()).toEqual([]);
  expect(await values('select id as value from step order by id')).toEqual([2, 3]);
  expect(await values(`select data->>'a?' as value from step limit 1`)).toEqual(['$1']);
  expect(await values('select name as value from knex_migrations_projector order by id')).toEqual(['0001-make.sql', '0002-fill.sql']);
});

test('owners have numbers of their own, and the first comes first', async () => {
  await file('0001-make.sql', 'create table mine ()');
  const other = await mkdtemp(join(tmpdir(), 'tekai-test-migrations-'));
  await writeFile(join(other, '0001-make.sql'), 'alter table mine add column theirs int');
  expect(await migrate({ url: database.url, owners: [{ name: 'log', directory }, { name: 'storage-writer', directory: other }] })).toEqual([
    { owner: 'log', name: '0001-make.sql' }, { owner: 'storage-writer', name: '0001-make.sql' },
  ]);
  await rm(other, { recursive: true });
});

test('of starters at the same time one applies and the others wait for it', async () => {
  await file('0001-make.sql', 'create table step (id int); select pg_sleep(0.2)');
  await file('0002-fill.sql', 'insert into step values (1)');
  const outcomes = await Promise.all([run(), run(), run(), run()]);
  expect(outcomes.flat()).toHaveLength(2);
  expect(await values('select id as value from step')).toEqual([1]);
});

test('a starter killed in the middle of a file leaves no lock and nothing of that file', async () => {
  await file('0001-make.sql', 'create table step (id int)');
  await file('0002-fill.sql', 'insert into step values (1); select pg_sleep(600)');
  const killed = spawnProgram(join(process.cwd(), 'tests/harness/migrate-program.ts'), { arguments: [database.url, 'projector', directory] });
  const ended = killed.line();
  const isInTheMiddle = async () => (await values(`select 1 as value from pg_stat_activity
    where application_name = 'tekai-migrate' and query like '%pg_sleep(600)%' and wait_event = 'PgSleep'`)).length > 0;
  while (!await Promise.race([isInTheMiddle(), ended]));
  await Promise.all([killed.kill(), expect(ended).rejects.toThrow(/SIGKILL/)]);

  await file('0002-fill.sql', 'insert into step values (2)');
  expect(await run()).toEqual([{ owner: 'projector', name: '0002-fill.sql' }]);
  expect(await values('select id as value from step')).toEqual([2]);
});

test('a starter does not wait longer than it is told to', async () => {
  await file('0001-make.sql', 'create table step (id int)');
  const holder = await pool.connect();
  await holder.query('select pg_advisory_lock(7235811002)');
  await expect(migrate({ url: database.url, owners: [{ name: 'projector', directory }], lockWaitMsMax: 50 })).rejects.toThrow(/another process has been migrating/);
  holder.release(true);
  expect(await run()).toHaveLength(1);
});

test('a file that fails leaves what came before it and nothing of itself', async () => {
  await file('0001-make.sql', 'create table step (id int)');
  await file('0002-fill.sql', 'insert into step values (1); select nonsense');
  await expect(run()).rejects.toThrow(/could not apply 0002-fill.sql of projector: .*"nonsense" does not exist/);
  expect(await values('select id as value from step')).toEqual([]);
  await file('0002-fill.sql', 'insert into step values (2)');
  expect(await run()).toEqual([{ owner: 'projector', name: '0002-fill.sql' }]);
});

test('a file that was changed after it had been applied is refused', async () => {
  await file('0001-make.sql', 'create table step (id int)');
  await run();
  await file('0001-make.sql', 'create table step (id bigint)');
  await expect(run()).rejects.toThrow(/0001-make.sql was changed after it had been applied/);
});

test('a checkout with other line ends is the same file', async () => {
  await file('0001-make.sql', 'create table step (\n  id int\n);\n');
  await run();
  await file('0001-make.sql', 'create table step (\r\n  id int\r\n);\r\n');
  expect(await run()).toEqual([]);
});

test('a new file with a number below an applied one is refused', async () => {
  await file('0002-make.sql', 'create table step (id int)');
  await run();
  await file('0001-late.sql', 'create table late (id int)');
  await expect(run()).rejects.toThrow(/0001-late.sql is new, but 0002-make.sql has been applied/);
});

test('an applied file that is gone is refused, but not what a newer release has applied', async () => {
  await file('0001-make.sql', 'create table step (id int)');
  await file('0002-more.sql', 'create table more (id int)');
  await run();
  await rm(join(directory, '0002-more.sql'));
  expect(await run()).toEqual([]);
  await file('0002-more.sql', 'create table more (id int)');
  await rm(join(directory, '0001-make.sql'));
  await expect(run()).rejects.toThrow(/0001-make.sql was applied, and there is no such file/);
});

test('a file that ends its transaction is refused', async () => {
  await file('0001-make.sql', 'create table step (id int); commit; insert into step values (1)');
  await expect(run()).rejects.toThrow(/ends the transaction/);
  expect(await values('select name as value from migration_checksums')).toEqual([]);
});

test('files with one number, or with another kind of name, are refused', async () => {
  await file('0001-make.sql', '');
  await file('0001-more.sql', '');
  await expect(run()).rejects.toThrow(/0001-make.sql and 0001-more.sql have one number/);
  await rm(join(directory, '0001-more.sql'));
  await file('README.md', '');
  await expect(run()).rejects.toThrow(/README.md is not named like/);
});

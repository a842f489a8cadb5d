import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { removeStateFolder, stateFolder } from '../../tests/harness/state-folder.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-server.ts';

let folder: { parent: string; stateDir: string };
let running: EmbeddedPostgres[] = [];

async function start(stateDir = folder.stateDir): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ stateDir });
  running.push(server);
  return server;
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function asSupervisor(url: string, stateDir = folder.stateDir): Promise<string> {
  const [password] = (await readFile(join(stateDir, 'postgres/cluster/password'), 'utf8')).split('\n');
  return url.replace(/tekai:.*@/, `supervisor:${password}@`);
}

beforeEach(async () => { folder = await stateFolder(); });
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  running = [];
  await removeStateFolder(folder.parent);
});

test('it starts, takes statements, and keeps what it answered on the disk', async () => {
  const { url } = await start();
  const settings = await query<{ name: string; setting: string }>(url, `
    select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'jit', 'data_checksums') order by name`);
  expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
    'data_checksums=on', 'fsync=on', 'full_page_writes=on', 'jit=off', 'synchronous_commit=on',
  ]);
  await query(url, 'create table fact (id int)');
});

test('the engine is no superuser, and nobody comes in without the password', async () => {
  const { url } = await start();
  expect(await query(url, `select rolsuper from pg_roles where rolname = current_user`)).toEqual([{ rolsuper: false }]);
  const methods = await query(await asSupervisor(url), `select distinct auth_method from pg_hba_file_rules`);
  expect(methods).toEqual([{ auth_method: 'scram-sha-256' }]);

  await expect(query(url.replace(/tekai:.*@/, 'tekai:wrong@'), 'select 1')).rejects.toThrow(/password authentication failed/);
  const { mode } = await stat(join(folder.stateDir, 'postgres/cluster/password'));
  expect(mode & 0o777).toBe(0o600);
});

test('a stop and a start keep the data and the URL', async () => {
  const first = await start();
  await query(first.url, 'create table fact (id int)');
  await query(first.url, 'insert into fact values (7)');
  await first.stop();
  await expect(query(first.url, 'select 1')).rejects.toThrow(/ECONNREFUSED/);

  const second = await start();
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'select id from fact')).toEqual([{ id: 7 }]);
});

test('the port of last time being taken, the next start chooses another', async () => {
  const first = await start();
  await first.stop();
  const squatter = createServer().listen({ port: Number(new URL(first.url).port), host: '127.0.0.1' });
  await once(squatter, 'listening');
  try {
    const second = await start();
    expect(new URL(second.url).port).not.toBe(new URL(first.url).port);
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  } finally {
    squatter.close();
  }
});

test('a second engine on the state folder of a living one is refused, and the first goes on', async () => {
  const { url } = await start();
  await expect(start()).rejects.toMatchObject({ kind: 'in-use', message: expect.stringMatching(/another engine runs on it \(tekai-engine of process \d+\)/) });
  expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('of engines that start at once on an empty folder one runs, and those refused leave its server alone', async () => {
  const outcomes = await Promise.allSettled([start(), start(), start(), start(), start()]);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(refused.map(({ reason }) => (reason as { kind: string }).kind)).toEqual(['in-use', 'in-use', 'in-use', 'in-use']);
  expect(await query(running[0]?.url ?? '', 'select 1 as one')).toEqual([{ one: 1 }]);
  // The server may have been started by one of those refused.
  const log = await readFile(join(folder.stateDir, 'postgres/postgres.log'), 'utf8');
  expect(log.match(/starting PostgreSQL|fast shutdown/g)).toEqual(['starting PostgreSQL']);
});

test('a state folder with blanks, commas and quotes in its path is served', async () => {
  const { url } = await start(join(folder.stateDir, 'a "b", c'));
  expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('a state folder too deep for a socket is served over TCP alone', async () => {
  const deep = join(folder.stateDir, 'x'.repeat(120));
  const { url } = await start(deep);
  expect(await query(await asSupervisor(url, deep), `select current_setting('unix_socket_directories') as folders`)).toEqual([{ folders: '' }]);
});

test.each([
  ['at once', async () => {}],
  ['while the database is made', async () => { while (!(await namesIn('postgres')).some((name) => name.startsWith('cluster.new-'))); }],
  ['while the server starts', async () => { while (!(await namesIn('postgres/cluster/data')).includes('postmaster.pid')); }],
])('a start cancelled %s says so and leaves nothing in the way of the next', async (_when, isTime) => {
  const cancelling = new AbortController();
  const starting = startEmbeddedPostgres({ stateDir: folder.stateDir, signal: cancelling.signal });
  const outcome = expect(starting).rejects.toMatchObject({ kind: 'aborted' });
  await isTime();
  cancelling.abort();
  await outcome;
  expect(await namesIn('postgres/cluster/data')).not.toContain('postmaster.pid');
  await start();
});

async function namesIn(below: string): Promise<string[]> {
  return readdir(join(folder.stateDir, below)).catch(() => []);
}

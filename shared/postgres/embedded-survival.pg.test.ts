import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { type Program, spawnProgram } from '../../tests/harness/spawn-program.ts';
import { removeStateFolder, stateFolder } from '../../tests/harness/state-folder.ts';
import { isPostmasterOf } from './embedded-pid-file.ts';
import { startEmbeddedPostgres } from './embedded-server.ts';
import { createPool } from './pool.ts';
import { isUnavailable } from './unavailable.ts';

const ENGINE = join(process.cwd(), 'tests/harness/engine-program.ts');
type Started = { url: string; pid: number; adopted: boolean };

let folder: { parent: string; stateDir: string };
let programs: Program[] = [];
const dataFolder = () => join(folder.stateDir, 'postgres/cluster/data');

beforeEach(async () => { folder = await stateFolder(); });
afterEach(async () => {
  await Promise.all(programs.map((program) => program.stop()));
  programs = [];
  await removeStateFolder(folder.parent);
});

function engine(): Program {
  const program = spawnProgram(ENGINE, { arguments: [folder.stateDir] });
  programs.push(program);
  return program;
}

async function until<Value>(look: () => Promise<Value>): Promise<NonNullable<Value>> {
  for (;;) {
    const value = await look();
    if (value) return value;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** A statement repeated for as long as the database is away. */
async function patiently(pool: pg.Pool, sql: string) {
  return until(() => pool.query(sql).catch((error: unknown) => {
    if (isUnavailable(error)) return undefined;
    throw error;
  }));
}

async function killServer(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(async () => !await isPostmasterOf(dataFolder(), pid));
}

test('the server of an engine that was killed lives on and is adopted by the next', async () => {
  const first = engine();
  const before = await first.line<Started>();
  const pool = createPool(before.url, { connectionsMax: 1, applicationName: 'test' });
  await pool.query('create table fact (id int)');
  await first.kill();
  await pool.query('insert into fact values (7)');

  const after = await engine().line<Started>();
  expect(after).toMatchObject({ url: before.url, pid: before.pid, adopted: true });
  expect((await pool.query('select id from fact')).rows).toEqual([{ id: 7 }]);
  await pool.end();
});

test('an adopted server is stopped by the engine that adopted it', async () => {
  const first = engine();
  const { pid } = await first.line<Started>();
  await first.kill();
  const second = engine();
  await second.line();
  expect(await second.stop()).toBe(0);
  expect(await isPostmasterOf(dataFolder(), pid)).toBe(false);
});

test('a server that is killed comes back on its port, and pools go on', async () => {
  const { url, pid } = await engine().line<Started>();
  const pool = createPool(url, { connectionsMax: 4, applicationName: 'test' });
  await pool.query('create table fact (id int)');
  await pool.query('insert into fact values (7)');
  await killServer(pid);
  expect((await patiently(pool, 'select id from fact')).rows).toEqual([{ id: 7 }]);
  await pool.end();
});

test('an adopted server that is killed comes back too', async () => {
  const first = engine();
  const { url, pid } = await first.line<Started>();
  await first.kill();
  await engine().line();
  const pool = createPool(url, { connectionsMax: 1, applicationName: 'test' });
  await killServer(pid);
  await patiently(pool, 'select 1');
  await pool.end();
});

test('an engine and its server both killed: the next start recovers what was committed', async () => {
  const first = engine();
  const { url, pid } = await first.line<Started>();
  const pool = createPool(url, { connectionsMax: 1, applicationName: 'test' });
  await pool.query('create table fact (id int)');
  await pool.query('insert into fact values (7)');
  await first.kill();
  await killServer(pid);

  expect(await engine().line<Started>()).toMatchObject({ url, adopted: false });
  expect((await patiently(pool, 'select id from fact')).rows).toEqual([{ id: 7 }]);
  await pool.end();
});

test('a stale lock whose process id now belongs to another program of the same user is taken over', async () => {
  const first = engine();
  const { pid } = await first.line<Started>();
  await first.kill();
  await killServer(pid);
  const { uid, gid } = await stat(dataFolder());
  const other = spawn('sleep', ['600'], { uid, gid });
  await once(other, 'spawn');
  try {
    const lock = join(dataFolder(), 'postmaster.pid');
    const [, ...rest] = (await readFile(lock, 'utf8')).split('\n');
    await writeFile(lock, [other.pid, ...rest].join('\n'));

    expect(await engine().line<Started>()).toMatchObject({ adopted: false });
    expect(other.exitCode ?? other.signalCode).toBe(null);
  } finally {
    other.kill('SIGKILL');
  }
});

test('a lock that says it is of another data folder is not believed, nor is its process harmed', async () => {
  const first = await stateFolder();
  const stranger = spawnProgram(ENGINE, { arguments: [first.stateDir] });
  const { pid, url } = await stranger.line<Started>();
  try {
    const own = engine();
    const mine = await own.line<Started>();
    await own.kill();
    await killServer(mine.pid);
    const lock = join(dataFolder(), 'postmaster.pid');
    const [, ...rest] = (await readFile(lock, 'utf8')).split('\n');
    await writeFile(lock, [pid, ...rest].join('\n'));

    expect(await engine().line<Started>()).toMatchObject({ adopted: false });
    const pool = createPool(url, { connectionsMax: 1, applicationName: 'test' });
    await pool.query('select 1');
    await pool.end();
  } finally {
    await stranger.stop();
    await removeStateFolder(first.parent);
  }
});

test('a starter that is refused does not take down the server it started: another engine may be using it', async () => {
  const first = engine();
  const { url, pid } = await first.line<Started>();
  const [supervisorPassword] = (await readFile(join(folder.stateDir, 'postgres/cluster/password'), 'utf8')).split('\n');
  const supervisor = createPool(url.replace(/tekai:.*@/, `supervisor:${supervisorPassword}@`).replace(/tekai$/, 'postgres'), { connectionsMax: 1, applicationName: 'test' });
  await supervisor.query('alter system set max_prepared_transactions = 1');
  await first.kill();
  await killServer(pid);
  const second = engine();
  const restarted = await second.line<Started>();
  await second.kill();
  // A prepared transaction holds the engine lock from the first moment of the next start: a rival that is always faster.
  await patiently(supervisor, `begin; select pg_advisory_xact_lock(7235811001); prepare transaction 'rival'`);
  await killServer(restarted.pid);

  expect(await engine().line()).toMatchObject({ kind: 'in-use' });
  await supervisor.query(`rollback prepared 'rival'`);
  expect(await engine().line<Started>()).toMatchObject({ adopted: true });
  await supervisor.end();
});

test('a dropped lock session is taken up again, and the server keeps running', async () => {
  const { url, pid } = await engine().line<Started>();
  const [supervisorPassword] = (await readFile(join(folder.stateDir, 'postgres/cluster/password'), 'utf8')).split('\n');
  const supervisor = createPool(url.replace(/tekai:.*@/, `supervisor:${supervisorPassword}@`), { connectionsMax: 1, applicationName: 'test' });
  const holder = async () => (await supervisor.query<{ pid: number }>(`select pid from pg_locks where locktype = 'advisory' and granted`)).rows[0]?.pid;
  const dropped = await holder();
  await supervisor.query('select pg_terminate_backend($1)', [dropped]);
  await until(async () => { const now = await holder(); return now !== undefined && now !== dropped; });
  expect(await isPostmasterOf(dataFolder(), pid)).toBe(true);
  await supervisor.end();
});

test('a server that cannot start any more becomes one clear error', async () => {
  const server = await startEmbeddedPostgres({ stateDir: folder.stateDir });
  const pid = Number((await readFile(join(dataFolder(), 'postmaster.pid'), 'utf8')).split('\n')[0]);
  await rm(join(dataFolder(), 'global/pg_control'));
  await killServer(pid);
  const reason = await server.givenUp;
  expect(reason.kind).toBe('crash-loop');
  expect(reason.message).toMatch(/pg_control/);
  await server.stop();
});

test('a disk that refuses is waited for, longer than a server that crashes is: then it comes back', async () => {
  let tries = 0;
  const logger = { info: () => {}, error: () => {}, warn: (_: object, message: string) => { if (message.includes('did not come back')) tries += 1; } };
  const server = await startEmbeddedPostgres({ stateDir: folder.stateDir, logger });
  const pool = createPool(server.url, { connectionsMax: 1, applicationName: 'test' });
  await pool.query('select 1');
  const pid = Number((await readFile(join(dataFolder(), 'postmaster.pid'), 'utf8')).split('\n')[0]);
  // Postgres does not start on a folder that others may write.
  await chmod(dataFolder(), 0o777);
  await killServer(pid);
  await until(async () => tries > 9);
  await chmod(dataFolder(), 0o700);
  await patiently(pool, 'select 1');
  await pool.end();
  await server.stop();
}, 120_000);

test('another password than the running server has is a clear error', async () => {
  const first = engine();
  await first.line();
  await first.kill();
  const file = join(folder.stateDir, 'postgres/cluster/password');
  const { uid, gid } = await stat(file);
  await writeFile(file, 'not\nit\n');
  await chown(file, uid, gid);
  expect(await engine().line()).toMatchObject({ kind: 'wrong-password' });
});

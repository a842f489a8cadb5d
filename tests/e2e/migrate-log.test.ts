import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import pg from 'pg';
import { WebSocket } from 'ws';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createEventstoredbEventLog } from '#shared/log/eventstoredb-event-log.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { anyHistory } from '../../services/projector/history.fixture.ts';
import { startEngineProcess, temporaryFolder } from '../harness/engine-process.ts';
import { startEventstoreDouble, type EventstoreDouble } from '../harness/eventstore-double.ts';
import { freshDatabase } from '../harness/postgres.ts';
import { programOf } from '../harness/program.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored } from '../harness/system.ts';
import { tekai as runTekai } from '../harness/tekai.ts';

/** An engine or the program is started from its sources eight times. */
const MANY_RUNS_MS_MAX = 600_000;
const ROOT = path.resolve(import.meta.dirname, '../..');
const PROGRAM = programOf('services/main.ts');
const MAIN = 'refs/heads/main';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => { for (const close of closing.splice(0).reverse()) await close(); });

const envOf = (settings: Record<string, string>) => ({ PATH: process.env['PATH'], HOME: process.env['HOME'], ...settings });
const tekai = (stores: Record<string, string>, ...words: readonly string[]) => runTekai({ stores }, ...words);

async function double(): Promise<EventstoreDouble> {
  const started = await startEventstoreDouble();
  closing.push(() => started.program.kill());
  return started;
}

test('an engine with a Postgres of its own takes its log along: nothing is fetched again, old cursors are told so, all goes on', async () => {
  const target = await double();
  const settings: Record<string, string> = {};
  const system = await startSystem({ database: 'embedded', settings });
  closing.push(system.stop);
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'one' }, { path: 'b/c', content: 'two' }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'moved', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/moved'));
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, MAIN, first);
  await system.ask('POST', '/v1/followers', { body: { name: 'mine', all: true } });
  const second = repository.commit('main', [{ path: 'a', content: 'more' }]);
  repository.git('push', '-q', 'origin', 'main');
  const { position: oldPosition } = await untilStored(system, codebase, MAIN, second);
  const changes = async () => (await system.ask('GET', '/v1/followers/mine/changes?limit=1000')).bytes.toString().trimEnd().split('\n').map((line) => JSON.parse(line) as { op: string; path?: string; cursor: string });
  const entries = await changes();
  expect(entries.length).toBeGreaterThan(3);
  await system.ask('POST', '/v1/followers/mine/ack', { body: { cursor: entries[1]?.cursor } });
  // Every cause is worked on, and what the engine finds out by itself is known, so that whatever comes later was begun by the move.
  await until('all is worked on', async () => {
    const types = (await eventsOf(system, `key=${codebase}`)).map(({ type }) => type);
    return ['push.received', 'hook.installed', 'codebase.readers-observed'].every((wanted) => types.includes(wanted));
  });
  const before = await eventsOf(system, 'type=');
  const oldFiles = (await system.ask('GET', `/v1/codebases/${codebase}/files/a`)).bytes.toString();
  await system.kill('SIGTERM');

  settings['TEKAI_EVENTSTORE_URL'] = target.url;
  const env = { TEKAI_STATE_DIR: system.stateDir, TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', ...settings };
  expect(await tekai(env, 'up')).toMatchObject({ code: 78, stderr: expect.stringContaining('Run "tekai migrate-log"') });
  const moved = await tekai(env, 'migrate-log', '--json');
  expect([moved.code, moved.stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  expect(JSON.parse(moved.stdout)).toMatchObject({ kind: 'moved', facts: before.length, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(await tekai(env, 'migrate-log')).toMatchObject({ code: 0, stdout: expect.stringContaining('already') });

  await system.startEngine();
  const withoutPosition = ({ position: _position, ...event }: { position: string }) => event;
  const after = await eventsOf(system, 'type=');
  expect(after.slice(0, before.length).map(withoutPosition)).toEqual(before.map(withoutPosition));
  expect((await system.ask('GET', `/v1/codebases/${codebase}/files/a`)).bytes.toString()).toBe(oldFiles);
  expect(await Promise.all([`/v1/events?after=${oldPosition}`, `/v1/codebases/${codebase}/files/a?at=${oldPosition}`, `/v1/followers/mine/changes?after=${entries[1]?.cursor}`].map(async (url) => (await system.ask('GET', url)).status))).toEqual([410, 410, 410]);
  expect(await recoveredFrom(system, oldPosition)).toBe(false);

  // The follower goes on behind what it acknowledged: nothing of that is told again.
  const told = await changes();
  const shown = (list: readonly { op: string; path?: string }[]) => list.filter(({ op }) => op !== 'end').map(({ op, path: where }) => [op, where]);
  expect(shown(told)).toEqual(shown(entries.slice(2)));

  const third = repository.commit('main', [{ path: 'a', content: 'after' }]);
  repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, codebase, MAIN, third);
  // What is new began with the push, or with a look of the scheduler: no old cause was worked on again.
  const old = new Set(before.map(({ id }) => id));
  const fresh = (await eventsOf(system, 'type=')).slice(before.length);
  expect(fresh.filter(({ type }) => type === 'codebase.stored')).toHaveLength(1);
  expect(fresh.filter(({ causationId }) => causationId !== null && old.has(causationId))).toEqual([]);
  expect(await tekai({ TEKAI_STATE_DIR: system.stateDir, ...settings }, 'replay', '--verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('The read models are what') });

  await system.kill('SIGTERM');
  expect(await tekai({ ...env, TEKAI_EVENTSTORE_URL: '' }, 'up')).toMatchObject({ code: 78, stderr: expect.stringContaining('no TEKAI_EVENTSTORE_URL is set') });
  expect(await tekai({ ...env, TEKAI_EVENTSTORE_URL: (await double()).url }, 'up')).toMatchObject({ code: 78, stderr: expect.stringContaining('it is another one') });
}, MANY_RUNS_MS_MAX);

/** Of a socket that goes on behind an old position. */
async function recoveredFrom(system: { url: string; token: string }, position: string): Promise<unknown> {
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live`);
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'connect', v: 1, token: system.token }));
  const said = new Promise<unknown>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (message: Buffer) => {
      const frame = JSON.parse(message.toString()) as { op: string; recovered?: boolean };
      if (frame.op === 'connected') socket.send(JSON.stringify({ op: 'subscribe', ch: 'all', since: position }));
      if (frame.op === 'subscribed') resolve(frame.recovered);
      if (frame.op === 'error') reject(new Error(message.toString()));
    });
    socket.on('close', (code: number) => { reject(new Error(`closed with ${code}`));
    });
  });
  try {
    return await said;
  } finally {
    socket.terminate();
  }
}

/** Where tables hold places, row by row: what is in none of them is not moved. */
const KEPT_ROWS = (at: readonly Position[], fact: Recorded) => [
  ...['fetcher', 'scanner', 'storage-writer', 'scheduler'].map((group, n) => [`insert into bus_checkpoints (group_name, position) values ($1, $2)`, [group, at[n]]]),
  [`insert into bus_parked (group_name, key, position, fact, since) values ('fetcher', $1, $2, $3, now())`, [fact.key, fact.position, JSON.stringify(fact)]],
  [`insert into fetcher_heads (codebase_id, ref, is_deleted, sync_id, position) values ($1, 'r', false, $1, $2)`, [randomUUID(), at[0]]],
  [`insert into codebase_looks (codebase_id, position) values ('seen', $1), ('never', null), ('before', '')`, [at[1]]],
  [`insert into followers (follower_id, actor_kind, actor_id, name, scope, created_at, planned_position, held_position, seen_epoch, seen_position)
    select 'f', 'token', 'a', 'n', '{}', '', $1, $2, epoch::text, $3 from log_head`, [at[2], at[3], at[4]]],
  [`insert into follower_refs (follower_id, codebase_id, ref, position) values ('f', 'c', 'r', $1)`, [at[5]]],
  [`insert into follower_groups (follower_id, seq, kind, codebase_id, ref, position) values ('f', 1, 'moved', 'c', 'r', $1)`, [at[6]]],
  [`insert into follower_snapshots (follower_id, snapshot_id, position, vector) values ('f', 's', $1, '{}')`, [at[7]]],
] as [string, unknown[]][];

test('thousands of facts come over a kill -9 in the middle, and every place that the database keeps is said of the new log', async () => {
  const [database, folder, target] = [await freshDatabase(), await temporaryFolder(), await double()];
  closing.push(database.drop, folder.remove);
  const base = { TEKAI_STATE_DIR: folder.path, TEKAI_DATABASE_URL: database.url };
  // Makes all tables, as an engine does.
  const engine = await startEngineProcess({ settings: base, names: ['ingress'] });
  closing.push(engine.stop);
  await engine.untilReady();
  const env = { ...base, TEKAI_EVENTSTORE_URL: target.url };
  expect(await tekai(env, 'migrate-log')).toMatchObject({ code: 78, stderr: expect.stringContaining('Stop every process of the engine') });
  await engine.stop();

  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'test' });
  closing.push(() => pool.end());
  const source = createPostgresEventLog({ pool });
  const { facts: history } = anyHistory(Array.from({ length: 4_000 }, (_, n) => (n * 2_654_435_761) % 1_000_003));
  for (const fact of history) await source.append(fact.stream, fact.revision === 0 ? 'noStream' : fact.revision - 1, [fact]);
  const old = await everyFact(source);
  expect(old.length).toBeGreaterThan(3_000);
  const at = old.map(({ position }) => position).filter((_, n) => n % 311 === 0);
  for (const [sql, values] of KEPT_ROWS(at, old[1_234]!)) await pool.query(sql, values);

  const killed = spawn(process.execPath, [...PROGRAM, 'migrate-log'], { cwd: ROOT, env: envOf(env), stdio: 'ignore' });
  await until('it is in the middle', async () => (await target.state()).events > old.length / 3, 120_000);
  killed.kill('SIGKILL');
  await once(killed, 'close');
  expect((await target.state()).events).toBeLessThan(old.length);
  // The engine could go on as before: nothing has moved.
  expect((await pool.query('select kind from log_followed')).rows).toEqual([{ kind: 'postgres' }]);
  expect((await pool.query('select position from fetcher_heads')).rows).toEqual([{ position: at[0] }]);

  expect(await tekai(env, 'migrate-log')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[\d,]+ facts are in esdb:/) });
  const moved = createEventstoredbEventLog({ connectionString: target.url });
  closing.push(async () => moved.close());
  const facts = await everyFact(moved);
  const withoutPosition = ({ position: _position, ...fact }: Recorded) => fact;
  expect(facts.map(withoutPosition)).toEqual(old.map(withoutPosition));
  // One append a fact, the epoch's, and at most one that was under way when it was killed.
  expect((await target.state()).calls['append']).toBeLessThanOrEqual(old.length + 2);

  const to = new Map(old.map(({ position }, n) => [position, facts[n]!.position]));
  const kept = async (sql: string) => (await pool.query<Record<string, string>>(sql)).rows.flatMap((row) => Object.values(row));
  expect(await kept('select position from bus_checkpoints order by position')).toEqual(at.slice(0, 4).map((one) => to.get(one)));
  expect(await kept('select position, (fact::json ->> \'position\') from bus_parked')).toEqual([to.get(old[1_234]!.position), to.get(old[1_234]!.position)]);
  expect(await kept('select position from codebase_looks order by codebase_id')).toEqual(['', null, to.get(at[1]!)]);
  expect(await kept('select planned_position, held_position, seen_epoch, seen_position from followers')).toEqual([to.get(at[2]!), to.get(at[3]!), await moved.epoch(), to.get(at[4]!)]);
  expect((await pool.query('select position from read_model.progress')).rows).toEqual([{ position: await moved.head() }]);
  expect(await positionsLeft(pool, new Set(to.values()))).toEqual([]);
  expect(await tekai(env, 'replay', '--verify')).toMatchObject({ code: 0 });

  // The old log takes nothing any more, also of an engine that was not told.
  await expect(source.append(history[0]!.stream, history[0]!.revision, [{ ...history[0]!, id: randomUUID() as never }])).rejects.toThrow('in another log than this database');
}, MANY_RUNS_MS_MAX);

/** Whatever looks like a position in any row of any table, and is none of the new log's: a column that nobody has thought of. */
async function positionsLeft(pool: pg.Pool, known: ReadonlySet<string>): Promise<string[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'log_facts'`);
  const left: string[] = [];
  for (const { name } of tables) {
    const { rows } = await pool.query<{ found: string }>(`select distinct (regexp_matches(t::text, '\\m\\d{20}\\M', 'g'))[1] as found from ${name} t`);
    left.push(...rows.filter(({ found }) => !known.has(found)).map(({ found }) => `${name}: ${found}`));
  }
  return left;
}

/** Columns that hold positions, of all tables outside of the read model. A new one is given to its owner's move-places.ts, and then here. */
test('no table holds positions that nobody moves', async () => {
  const [database, folder] = [await freshDatabase(), await temporaryFolder()];
  closing.push(database.drop, folder.remove);
  const engine = await startEngineProcess({ settings: { TEKAI_STATE_DIR: folder.path, TEKAI_DATABASE_URL: database.url }, names: ['ingress'] });
  closing.push(engine.stop);
  await engine.untilReady();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public' and column_name ~ 'position|checkpoint|offset|cursor' and table_name <> 'log_facts' order by 1`);
  await client.end();
  expect(rows.map(({ name }) => name)).toEqual([
    'bus_checkpoints.position', 'bus_parked.position', 'codebase_looks.position', 'fetcher_heads.position', 'follower_groups.position', 'follower_refs.position',
    'follower_snapshots.position', 'followers.held_position', 'followers.planned_position', 'followers.seen_position',
    // Of a pack, not of the log.
    'objects.block_offset',
  ]);
}, MANY_RUNS_MS_MAX);

async function everyFact(log: Pick<ReturnType<typeof createPostgresEventLog>, 'subscribe' | 'head'>): Promise<Recorded[]> {
  const facts: Recorded[] = [];
  const [end, reading] = [await log.head(), new AbortController()];
  for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: reading.signal })) {
    facts.push(...batch.facts);
    if (batch.position >= end) break;
  }
  reading.abort();
  return facts;
}

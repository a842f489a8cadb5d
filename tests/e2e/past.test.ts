import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { tekai as runTekai } from '../../services/cli/cli-run.fixture.ts';
import { withLog } from '../harness/own-stores.ts';
import { programOf } from '../harness/program.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

/** The program is started time and again: on a busy machine 12 s each. */
const MANY_RUNS_MS_MAX = 300_000;
const ROOT = path.resolve(import.meta.dirname, '../..');
let system: System;
let admin: pg.Client;
const children = new Set<ChildProcess>();
beforeAll(async () => {
  system = await startSystem();
  admin = new pg.Client({ connectionString: system.databaseUrl });
  await admin.connect();
});
// Only what a test that failed left running.
afterEach(async () => { await Promise.all([...children].map((child) => { child.kill('SIGTERM'); return once(child, 'close'); })); });
afterAll(async () => {
  await admin.end();
  await system.stop();
});

interface Past { readonly url: string; readonly position: string; readonly time: string; readonly facts: number; readonly child: ChildProcess; readonly notes: () => string }

/** The program as an operator runs it, beside the engine. */
function start(args: readonly string[], { stores }: Pick<System, 'stores'>): { child: ChildProcess; notes: () => string } {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...stores };
  const child = spawn(process.execPath, [...programOf('services/main.ts'), 'replay', '--at', ...args], { cwd: ROOT, env });
  const said: string[] = [];
  child.stderr.on('data', (piece: Buffer) => said.push(piece.toString()));
  children.add(child);
  child.once('close', () => children.delete(child));
  return { child, notes: () => said.join('') };
}

async function open(moment: string, beside = system): Promise<Past> {
  const { child, notes } = start([moment, '--json'], beside);
  for await (const line of createInterface({ input: child.stdout! })) return { ...JSON.parse(line) as Omit<Past, 'child' | 'notes'>, child, notes };
  throw new Error(`it ended without a word: ${notes()}`);
}

async function close(past: Past, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
  const closed = once(past.child, 'close');
  past.child.kill(signal);
  await closed;
  return past.child.exitCode;
}

/** What it says when it cannot, and its exit code. */
async function refused(moment: string, { databaseUrl = system.databaseUrl, more = [] as readonly string[] } = {}): Promise<string> {
  const { child, notes } = start([moment, ...more], { stores: { ...system.stores, TEKAI_DATABASE_URL: databaseUrl } });
  child.stdout?.resume();
  await once(child, 'close');
  expect(child.exitCode).toBe(1);
  return notes();
}

const databases = async () => (await admin.query<{ name: string }>(`select datname as name from pg_database where datname like 'tekai\\_past\\_%'`)).rows.map(({ name }) => name);

/** Status, body and headers, without what is of now: see STRIPPED and the headers left out. */
interface Told { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown }

/**
 * What an answer says that the log does not know: looks at GitLab, what is set aside, what a check of a source and its token found, how a
 * source is polled, how far a sync is. And `treesRead`,
 * the cost of an answer: what is stored by now is looked for, where it was known not to be stored then.
 */
const STRIPPED = new Set(['lastLook', 'hookTrouble', 'isParked', 'parked', 'check', 'token', 'polling', 'progress', 'treesRead']);
const HEADERS = /^(?:x-tekai-(?!looked-at|parked)|content-type$|content-length$|link$)/;

async function ask(url: string, where: string, { token } = system): Promise<Told> {
  const response = await fetch(`${url}${where}`, { headers: { authorization: `Bearer ${token}` } });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  const headers = Object.fromEntries([...response.headers].filter(([name]) => HEADERS.test(name) && !(isJson && name === 'content-length')));
  return { status: response.status, headers, body: isJson ? stripped(JSON.parse(bytes.toString('utf8'))) : bytes.toString('base64') };
}

function stripped(value: any): unknown {
  if (Array.isArray(value)) return value.map(stripped);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !STRIPPED.has(name) && name !== 'instance').map(([name, one]) => [name, stripped(one)]));
}

type Answers = Map<string, Told>;
interface Recorded { readonly position: string; readonly answers: Answers }

/** Everything that may be asked now; also of what will only come to be. */
async function answersOf(url: string, codebases: readonly string[], commits: readonly string[]): Promise<Answers> {
  const answers: Answers = new Map();
  const note = async (where: string) => {
    const told = await ask(url, where);
    answers.set(where, told);
    return told.body as any;
  };
  for (const where of ['/v1/codebases', '/v1/codebases?state=removed', '/v1/sources', '/v1/projects', '/v1/events?limit=1000', '/v1/syncs?limit=1000', '/v1/deliveries?limit=1000', '/v1/parked']) await note(where);
  for (const { fact } of (answers.get('/v1/deliveries?limit=1000')!.body as any).deliveries) await note(`/v1/syncs?cause=${fact}`);
  for (const codebase of codebases) {
    const of = `/v1/codebases/${codebase}`;
    await note(of);
    await note(`${of}/versions`);
    for (const commit of commits) {
      await note(`${of}/tree/?at=${commit}`);
      await note(`${of}/files/a?at=${commit}`);
      await note(`${of}/changes?from=${commit}&to=main`);
    }
    for (const { ref } of (await note(`${of}/refs`)).refs ?? []) {
      const { entries } = await note(`${of}/tree/?ref=${encodeURIComponent(ref)}`);
      await note(`${of}/stats?ref=${encodeURIComponent(ref)}`);
      await note(`${of}/archive?ref=${encodeURIComponent(ref)}`);
      for (const { name, id } of entries) {
        await note(`${of}/files/${name}?ref=${encodeURIComponent(ref)}`);
        await note(`/v1/objects/${id}/occurrences`);
      }
    }
  }
  return answers;
}

/** Recorded at rest: nothing was folded from its beginning to its end, and nothing is left to fold. */
async function recordLive(codebases: readonly string[], commits: readonly string[]): Promise<Recorded> {
  const place = async () => ({
    tables: (await system.ask('GET', '/v1/events?limit=1')).json<{ position: string }>().position,
    log: await withLog(system, (log) => log.head()),
    underWay: (await system.ask('GET', '/v1/syncs?state=waiting,fetched,scanned')).json<{ syncs: object[] }>().syncs.length,
  });
  return until('the engine rests', async () => {
    const before = await place();
    if (before.underWay > 0 || before.tables.slice(9) !== before.log) return undefined;
    const answers = await answersOf(system.url, codebases, commits);
    return JSON.stringify(await place()) === JSON.stringify(before) && { position: before.tables, answers };
  });
}

const recorded: Recorded[] = [];
let codebases: string[] = [];
let commits: string[] = [];
let later = '';

async function followed(name: string): Promise<{ repository: Repository; codebase: string; first: string }> {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: `${name} one\n` }, { path: 'same', content: 'the same\n' }]);
  repository.commit('side', [{ path: 'b', content: `${name} aside\n` }], { parent: first });
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, 'refs/heads/main', first);
  await until('the webhook stands', async () => (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ hook: { state: string } }>().hook.state === 'installed');
  return { repository, codebase, first };
}

test('what was answered at a position is answered for it later: pushes, a force push, a deleted branch, a removed codebase', async () => {
  const [one, two] = [await followed('one'), await followed('two')];
  codebases = [one.codebase, two.codebase];
  const push = async (content: string, ...how: string[]) => {
    const commit = one.repository.commit('main', [{ path: 'a', content }], how.includes('--force') ? { parent: one.first } : {});
    one.repository.git('push', '-q', ...how, 'origin', 'main');
    await untilStored(system, one.codebase, 'refs/heads/main', commit);
    return commit;
  };
  // Commits are asked for by name before they are there, too.
  commits = [one.first, '1'.repeat(40)];
  recorded.push(await recordLive(codebases, commits));
  commits.push(await push('second\n'));
  recorded.push(await recordLive(codebases, commits));
  commits.push(await push('another second\n', '--force'));
  one.repository.git('push', '-q', 'origin', '--delete', 'side');
  await until('the branch is gone', async () => !(await system.ask('GET', `/v1/codebases/${one.codebase}/refs`)).bytes.includes('refs/heads/side'));
  recorded.push(await recordLive(codebases, commits));
  const { status } = await system.ask('DELETE', `/v1/codebases/${two.codebase}`, { headers: { 'if-match': (await system.ask('GET', `/v1/codebases/${two.codebase}`)).headers.get('etag') ?? '' } });
  expect(status).toBeLessThan(300);
  recorded.push(await recordLive(codebases, commits));
  later = await push('last\n');
  await recordLive(codebases, commits);

  expect(new Set(recorded.map(({ position }) => position)).size).toBe(4);
  for (const { position, answers } of recorded) {
    const past = await open(position);
    expect(past.position).toBe(position);
    const now = new Map<string, Told>();
    for (const where of answers.keys()) now.set(where, await ask(past.url, where));
    expect(now).toEqual(answers);
    // As many facts as the log had, and none that came later.
    expect((now.get('/v1/events?limit=1000')!.body as { events: object[] }).events.length).toBe(past.facts);
    expect(past.notes()).toContain('Not what stood beside the log');
    expect(await close(past)).toBe(0);
  }
  expect(await databases()).toEqual([]);
}, MANY_RUNS_MS_MAX);

test('a past knows nothing of what came later, and keeps nobody waiting for it', async () => {
  const past = await open(recorded[2]!.position);
  const [codebase] = codebases;
  expect(await ask(past.url, `/v1/codebases/${codebase}/tree/?at=${later}`)).toMatchObject({ status: 404, body: { code: 'no-such-version' } });
  const newest = (await eventsOf(system, '')).at(-1)!;
  expect(await ask(past.url, `/v1/events?after=${newest.position}`)).toMatchObject({ body: { events: [], next: null } });
  const blob = ((await ask(system.url, `/v1/codebases/${codebase}/tree/`)).body as any).entries.find((one: { name: string }) => one.name === 'a').id;
  expect(await ask(past.url, `/v1/objects/${blob}/occurrences`)).toMatchObject({ status: 200, body: { occurrences: [], isComplete: true } });
  for (const asked of [newest.position, later, newest.id]) {
    const began = performance.now();
    expect(await ask(past.url, `/v1/codebases/${codebase}/refs?atLeast=${asked}&wait=30s`)).toMatchObject({ status: 202, body: { position: past.position } });
    expect(performance.now() - began).toBeLessThan(10_000);
  }
  const listed = await runTekai(['--url', past.url, 'codebase', 'ls'], { env: { TEKAI_TOKEN: system.token } });
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('root/two') });
  expect((await fetch(`${past.url}/v1/codebases`)).status).toBe(401);
  expect((await fetch(`${past.url}/v1/codebases`, { method: 'POST', headers: { authorization: `Bearer ${system.token}` } })).status).toBe(405);
  await close(past);
}, MANY_RUNS_MS_MAX);

test('a time asks for the last fact that was recorded by then; with what a killed one left gone, and one that lives left alone', async () => {
  const facts = await eventsOf(system, '') as unknown as { time: string; position: string }[];
  const wanted = facts[Math.floor(facts.length / 2)]!;
  const last = facts.filter(({ time }) => time <= wanted.time).at(-1)!;
  const killed = await open(recorded[0]!.position);
  const [left] = await databases();
  await close(killed, 'SIGKILL');
  await until('the server has seen that it is gone', async () => (await admin.query('select from pg_stat_activity where $1::text in (datname::text, application_name)', [left])).rows.length === 0);
  expect(await databases()).toEqual([left]);
  const alive = await open(wanted.time);
  expect([alive.position, alive.time <= wanted.time]).toEqual([last.position, true]);
  const [its, ...others] = await databases();
  expect([its === left, others]).toEqual([false, []]);
  const second = await open(recorded[3]!.position);
  expect(await databases()).toHaveLength(2);
  expect((await ask(alive.url, '/v1/codebases')).status).toBe(200);
  await close(second);
  expect(await databases()).toEqual([its]);
  await close(alive);
}, MANY_RUNS_MS_MAX);

test('a moment that is not, and a role that may make no database, are told with what to do; nothing is left behind', async () => {
  const { position } = recorded[0]!;
  // Each kind of them: services/projector/replay/find-moment.test.ts.
  expect(await refused('yesterday')).toContain('is no moment');
  const role = `poor_${process.pid}`;
  await admin.query(`create role ${role} login nocreatedb password 'poor'`);
  await admin.query(`grant pg_read_all_data to ${role}`);
  const url = new URL(system.databaseUrl);
  [url.username, url.password] = [role, 'poor'];
  expect(await refused(position, { databaseUrl: url.href })).toContain(`"alter role … createdb"`);
  await admin.query(`drop role ${role}`);
  // That of the engine itself, which is only known to be taken once the past is folded.
  const { port } = new URL(system.url);
  expect(await refused(position, { more: ['--port', port] })).toContain(`Port ${port} is taken by another program. Stop that, or set --port`);
  expect(await databases()).toEqual([]);
}, MANY_RUNS_MS_MAX);

test('beside an engine with a Postgres of its own, and where none runs, the past is the same', async () => {
  const other = await startSystem({ database: 'embedded' });
  try {
    const repository = await makeRepository();
    const first = repository.commit('main', [{ path: 'a', content: 'one\n' }]);
    const { id } = await other.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'own', import: repository.dir });
    const { position } = await untilStored(other, await other.follow(id), 'refs/heads/main', first);
    const told: unknown[] = [];
    for (const isEngineUp of [true, false]) {
      if (!isEngineUp) await other.kill('SIGTERM');
      const past = await open(position, other);
      const events = await ask(past.url, '/v1/events', other);
      const { codebases } = (await ask(past.url, '/v1/codebases', other)).body as { codebases: { id: string }[] };
      told.push([events, await ask(past.url, `/v1/codebases/${codebases[0]?.id}/files/a`, other)]);
      expect(events).toMatchObject({ status: 200, body: { position } });
      expect(past.notes().includes('no engine can start on it meanwhile')).toBe(!isEngineUp);
      expect(await close(past)).toBe(0);
    }
    expect(told[1]).toEqual(told[0]);
    expect(told[0]).toMatchObject([{}, { status: 200, body: Buffer.from('one\n').toString('base64') }]);
    // And the engine finds everything as it was.
    await other.startEngine();
    expect((await other.ask('GET', '/v1/codebases')).status).toBe(200);
  } finally {
    await other.stop();
  }
}, MANY_RUNS_MS_MAX);

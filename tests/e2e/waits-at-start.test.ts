import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../infra/servers/server.ts';
import { startEngineProcess, temporaryFolder, type EngineProcess } from '../harness/engine-process.ts';
import { startEventstoreDouble } from '../harness/eventstore-double.ts';
import { freshDatabase, type FreshDatabase } from '../harness/postgres.ts';
import { until } from '../harness/system.ts';
import { prepareServer, runPrepared } from '../harness/throwaway-server.ts';

/** Several engines start from their sources, on a shared machine. */
const STARTS_MS_MAX = 300_000;
const SERVICES = ['ingress', 'scheduler', 'fetcher', 'scanner', 'storage-writer', 'projector', 'notifier', 'query-api'];
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => { for (const close of closing.splice(0).reverse()) await close(); });

async function stateFolder(): Promise<string> {
  const folder = await temporaryFolder();
  closing.push(folder.remove);
  return folder.path;
}

async function start(settings: Record<string, string>, names: readonly string[] = []): Promise<EngineProcess> {
  const engine = await startEngineProcess({ settings, names });
  closing.push(engine.stop);
  return engine;
}

const tokenIn = async ({ stateDir }: EngineProcess) => (await readFile(path.join(stateDir, 'access-token'), 'utf8')).trim();

async function database(): Promise<FreshDatabase> {
  const fresh = await freshDatabase();
  closing.push(fresh.drop);
  return fresh;
}

const untilItSays = (engine: EngineProcess, wanted: RegExp) => until(`it says ${wanted.source}`, async () => (await engine.reasons()).find((one) => wanted.test(one)));
const statusOf = async (url: string, init?: RequestInit) => (await fetch(url, init)).status;

test('an engine whose Postgres is away opens its doors, says what to do, takes nothing that it could lose, and starts once that is there', async () => {
  const prepared = await prepareServer();
  const { host } = new URL(prepared.url);
  const engine = await start({ TEKAI_STATE_DIR: await stateFolder(), TEKAI_DATABASE_URL: prepared.url });

  const reason = await untilItSays(engine, /ECONNREFUSED/);
  expect(reason).toMatch(new RegExp(`^database: .*: start Postgres at ${host}, open the way to it, or name another in TEKAI_DATABASE_URL$`));
  expect(reason).not.toContain(new URL(prepared.url).password);
  expect([await statusOf(`${engine.internalUrl}/livez`), await statusOf(`${engine.internalUrl}/readyz`), await statusOf(`${engine.url}/livez`), await statusOf(`${engine.url}/readyz`)]).toEqual([200, 503, 200, 503]);
  const delivery = await fetch(`${engine.url}/webhooks/gitlab/${randomUUID()}`, { method: 'POST', body: '{}' });
  expect([delivery.status, delivery.headers.get('retry-after'), (await delivery.json() as { code: string }).code]).toEqual([503, '2', 'starting']);
  expect(await statusOf(`${engine.url}/v1/codebases`)).toBe(503);

  const server = await runPrepared(prepared, { removed: prepared.folder });
  closing.splice(0, 0, server.stop);
  await engine.untilReady();
  expect(await engine.reasons()).toEqual([]);
  expect(await statusOf(`${engine.url}/v1/nothing-there`, { headers: { authorization: `Bearer ${await tokenIn(engine)}` } })).toBe(404);
  // Each reason once: a Postgres that comes up on a busy machine gives a second one.
  const told = engine.log().split('\n').filter((line) => line.includes('the start waits')).map((line) => (JSON.parse(line) as { reason: string }).reason);
  expect(told.filter((one) => one.includes('ECONNREFUSED'))).toHaveLength(1);
  expect(new Set(told).size).toBe(told.length);
}, STARTS_MS_MAX);

test('a login that is refused, and a database that is not there, are told and waited for', async () => {
  const fresh = await database();
  const admin = new pg.Client({ connectionString: fresh.url });
  await admin.connect();
  closing.push(() => admin.end());
  const role = `late_${randomUUID().slice(0, 8)}`;
  await admin.query(`create role ${role} login password 'old'`);
  const url = new URL(fresh.url);
  [url.username, url.password, url.pathname] = [role, 'new', `/${role}`];

  const engine = await start({ TEKAI_STATE_DIR: await stateFolder(), TEKAI_DATABASE_URL: url.href }, ['ingress']);
  await untilItSays(engine, /lets nobody in like this; correct the user, the password/);
  await admin.query(`alter role ${role} password 'new'`);
  await untilItSays(engine, new RegExp(`database "${role}" does not exist: create that database`));
  await admin.query(`create database ${role} owner ${role}`);
  closing.push(async () => { await engine.stop(); await admin.query(`drop database ${role} with (force)`); await admin.query(`drop role ${role}`); });
  await engine.untilReady();
}, STARTS_MS_MAX);

test('each service alone waits as well, and starts by itself', async () => {
  const prepared = await prepareServer();
  const stateDir = await stateFolder();
  const engines = await Promise.all(SERVICES.map((name) => start({ TEKAI_STATE_DIR: stateDir, TEKAI_DATABASE_URL: prepared.url }, [name])));
  for (const engine of engines) await untilItSays(engine, /^database: .*ECONNREFUSED/);
  const server = await runPrepared(prepared, { removed: prepared.folder });
  closing.splice(0, 0, server.stop);
  for (const engine of engines) await engine.untilReady();
}, STARTS_MS_MAX);

test('an engine whose EventStoreDB is away takes deliveries into the spool, says what to do, and writes them down once that is there', async () => {
  const [fresh, stateDir, folder, port] = [await database(), await stateFolder(), await stateFolder(), await freePort()];
  const settings = { TEKAI_STATE_DIR: stateDir, TEKAI_DATABASE_URL: fresh.url, TEKAI_EVENTSTORE_URL: `esdb://127.0.0.1:${port}?tls=false` };
  const engine = await start(settings);
  expect(await untilItSays(engine, /^event log: /)).toMatch(new RegExp(`start EventStoreDB at esdb://127\\.0\\.0\\.1:${port}\\?tls=false, open the way to it, or correct TEKAI_EVENTSTORE_URL$`));
  let double = await startEventstoreDouble({ directory: folder, port });
  closing.push(() => double.program.kill());
  await engine.untilReady();
  const source = await registerSource(engine);

  await engine.stop();
  await double.program.kill();
  const again = await start(settings);
  await untilItSays(again, /^event log: /);
  const sent = await until('the door of ingress is open', async () => {
    const status = await statusOf(`${again.url}/webhooks/gitlab/${source}`, { method: 'POST', body: JSON.stringify(PUSH), headers: { 'content-type': 'application/json', 'x-gitlab-token': WORD, 'x-gitlab-event': 'Push Hook', 'idempotency-key': randomUUID() } });
    return status !== 503 && status;
  });
  expect(sent).toBe(202);
  expect(await statusOf(`${again.url}/readyz`)).toBe(503);
  double = await startEventstoreDouble({ directory: folder, port });
  await again.untilReady();
  await until('the delivery is in the log', async () => {
    const { events } = await (await fetch(`${again.url}/v1/events`, { headers: { authorization: `Bearer ${await tokenIn(again)}` } })).json() as { events: { stream: string }[] };
    return events.some(({ stream }) => stream.startsWith(`delivery-${source}-`));
  });

  // Away once more while it runs: health says so, and it is well again by itself.
  await double.program.kill();
  await until('it says that the log is away', async () => (await again.reasons()).some((one) => /^event log: .*start EventStoreDB at/.test(one)));
  double = await startEventstoreDouble({ directory: folder, port });
  await again.untilReady();
}, STARTS_MS_MAX);

test('told to stop while it waits, it ends as one that was told', async () => {
  const engine = await start({ TEKAI_STATE_DIR: await stateFolder(), TEKAI_DATABASE_URL: `postgres://nobody:x@127.0.0.1:${await freePort()}/none` });
  await untilItSays(engine, /^database: /);
  expect(await engine.stop()).toBe(0);
}, STARTS_MS_MAX);

const WORD = 'the-word-of-the-hook';
const PUSH = { object_kind: 'push', project_id: 1, ref: 'refs/heads/main', before: '0'.repeat(40), after: '1'.repeat(40), project: { id: 1 } };

/** Of a GitLab that nobody can reach: what its hooks tell is written down all the same. */
async function registerSource(engine: EngineProcess): Promise<string> {
  const answer = await fetch(`${engine.url}/v1/sources`, {
    method: 'POST', body: JSON.stringify({ baseUrl: `http://127.0.0.1:${await freePort()}`, token: 'x', webhookToken: WORD, acceptUnreachable: true }),
    headers: { authorization: `Bearer ${await tokenIn(engine)}`, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
  });
  const body = await answer.json() as { id: string };
  if (answer.status !== 201) throw new Error(`${answer.status} ${JSON.stringify(body)}`);
  return body.id;
}

import pg from 'pg';
import { startEngineProcess, temporaryFolder } from '../harness/engine-process.ts';
import { prepareReplicated, type OwnServer } from '../harness/own-servers.ts';
import { freshDatabase } from '../harness/postgres.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';

const MAIN = 'refs/heads/main';
let servers: { primary: OwnServer; replica: OwnServer };
let system: System;
const clients: pg.Client[] = [];
beforeAll(async () => {
  servers = await prepareReplicated();
  await servers.primary.start();
  await servers.replica.start();
  system = await startSystem({ database: { url: servers.primary.url }, settings: { TEKAI_READ_DATABASE_URL: servers.replica.url } });
});
afterAll(async () => {
  await system.stop();
  for (const client of clients) await client.end().catch(() => undefined);
  await servers.replica.remove();
  await servers.primary.remove();
});

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

/** Facts as the notifier tells them, as long as the engine runs. */
function listen(): { readonly told: { type: string; position: string; data: { commit?: string } }[]; stop(): void } {
  const stopping = new AbortController();
  const told: { type: string; position: string; data: { commit?: string } }[] = [];
  void (async () => {
    const response = await fetch(`${system.url}/v1/live?ch=all`, { headers: { authorization: `Bearer ${system.token}` }, signal: stopping.signal });
    let text = '';
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^event: pub\ndata: (.*)$/m.exec(text.slice(0, end))?.[1];
        if (data !== undefined) told.push(JSON.parse(data));
        text = text.slice(end + 2);
      }
    }
  })().catch(() => undefined);
  return { told, stop: () => stopping.abort() };
}

test('people read from the replica: what it does not have yet is not claimed and not told, and it is once the replica has it (I10)', async () => {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'one' }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'replicated', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/replicated'));
  const codebase = await system.follow(project.id);
  const receipt = await untilStored(system, codebase, MAIN, first);
  const [primary, replica] = [await connect(servers.primary.url), await connect(servers.replica.url)];
  const live = listen();
  await until('somebody reads from the replica', async () => (await replica.query(`select from pg_stat_activity where application_name = 'tekai-read'`)).rowCount);
  const positionOf = async (client: pg.Client) => (await client.query<{ position: string }>('select position from read_model.progress')).rows[0]?.position ?? '';

  await replica.query('select pg_wal_replay_pause()');
  await until('it stands still', async () => (await replica.query(`select pg_get_wal_replay_pause_state() = 'paused' as is`)).rows[0].is as boolean);
  const standing = await positionOf(replica);
  const second = repository.commit('main', [{ path: 'a', content: 'two' }]);
  repository.git('push', '-q', 'origin', 'main');
  await until('the database itself has it', async () => (await primary.query('select from read_model.refs where commit_id = $1', [second])).rowCount);

  const refs = async () => (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { commit: string; position: string }[] }>().refs;
  expect(await refs()).toMatchObject([{ commit: first, position: receipt.position }]);
  const events = (await system.ask('GET', '/v1/events?limit=1000')).json<{ position: string; events: unknown[] }>();
  expect(events.position.slice(9)).toBe(standing);
  expect((await system.ask('GET', `/v1/codebases/${codebase}/files/a`)).bytes.toString()).toBe('one');
  expect((await system.ask('GET', `/v1/codebases/${codebase}/files/a?atLeast=${second}&wait=1s`)).status).toBe(202);
  expect(live.told.filter(({ position }) => position.slice(9) > standing)).toEqual([]);
  // Who writes sees the present: nothing of it waits for the replica.
  expect((await positionOf(primary)) > standing).toBe(true);

  const waiting = system.ask('GET', `/v1/codebases/${codebase}/files/a?atLeast=${second}&wait=30s`);
  await replica.query('select pg_wal_replay_resume()');
  const answered = await waiting;
  expect([answered.status, answered.bytes.toString()]).toEqual([200, 'two']);
  const told = await until('it is told', () => live.told.find(({ type, data }) => type === 'codebase.stored' && data.commit === second));
  expect((await refs())[0]).toMatchObject({ commit: second, position: told.position });
  live.stop();
}, 300_000);

test('a replica that is away stops reading, and nothing else; all is well again once it is back', async () => {
  await servers.replica.stop();
  await until('health says so', async () => ((await (await fetch(`${system.internalUrl}/readyz`)).json()) as { reasons: string[] }).reasons.some((one) => /^read database: .*start the replica at postgres:\/\/test:\*\*\*@/.test(one)));
  expect((await system.ask('GET', '/v1/codebases')).status).toBe(503);
  expect((await system.ask('POST', '/v1/projects', { body: { name: 'made meanwhile' } })).status).toBe(201);
  await servers.replica.start();
  await until('it is ready', async () => (await fetch(`${system.url}/readyz`)).ok);
  await until('it can be read', async () => (await system.ask('GET', '/v1/projects')).json<{ projects?: { name: string }[] }>().projects?.some(({ name }) => name === 'made meanwhile'));
}, 300_000);

test('a database that is no replica of ours is not read from: the start says so, and waits', async () => {
  const [folder, other] = [await temporaryFolder(), await freshDatabase()];
  // With all tables of this release, and facts of its own.
  const owner = await startEngineProcess({ settings: { TEKAI_STATE_DIR: folder.path, TEKAI_DATABASE_URL: other.url }, names: ['projector'] });
  await owner.untilReady();
  const engine = await startEngineProcess({ settings: { ...system.stores, TEKAI_READ_DATABASE_URL: other.url }, names: ['query-api'] });
  try {
    await until('it says so', async () => (await engine.reasons()).some((one) => /^read database: TEKAI_READ_DATABASE_URL leads to no replica of the database/.test(one)));
    expect((await fetch(`${engine.url}/v1/codebases`, { headers: { authorization: `Bearer ${system.token}` } })).status).toBe(503);
  } finally {
    await engine.stop();
    await owner.stop();
    await other.drop();
    await folder.remove();
  }
}, 300_000);

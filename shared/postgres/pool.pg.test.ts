import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { type FreshDatabase, freshDatabase } from '../../tests/harness/postgres.ts';
import { createPool } from './pool.ts';
import { isUnavailable } from './unavailable.ts';

let database: FreshDatabase;
let pool: pg.Pool;
beforeAll(async () => { database = await freshDatabase(); });
afterAll(() => database.drop());
beforeEach(() => { pool = createPool(database.url, { connectionsMax: 1, applicationName: 'pool test' }); });
afterEach(() => pool.end());

async function terminate(pid: unknown): Promise<void> {
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query('select pg_terminate_backend($1)', [pid]);
  await admin.end();
}

test('the end of an idle connection ends neither the process nor the pool', async () => {
  const { rows: [row] } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
  const removed = new Promise((resolve) => { pool.once('remove', resolve); });
  await terminate(row?.pid);
  await removed;
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('the end of a connection that is checked out and at rest does not end the process', async () => {
  const client = await pool.connect();
  const { rows: [row] } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const ended = new Promise((resolve) => { client.once('end', resolve); });
  await terminate(row?.pid);
  await ended;
  expect(isUnavailable(await client.query('select 1').catch((error: unknown) => error))).toBe(true);
  client.release(true);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a statement that takes too long is the database being away', async () => {
  const impatient = createPool(database.url, { connectionsMax: 1, applicationName: 'test', statementMsMax: 50 });
  expect(isUnavailable(await impatient.query('select pg_sleep(600)').catch((error: unknown) => error))).toBe(true);
  await impatient.end();
});

test('nobody listening, and a listener that says nothing, are both the database being away', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => { sockets.push(socket); }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const deaf = createPool(`postgres://x:x@127.0.0.1:${port}/x`, { connectionsMax: 1, applicationName: 'test' });
  expect(isUnavailable(await deaf.query('select 1').catch((error: unknown) => error))).toBe(true);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => { silent.close(resolve); });
  expect(isUnavailable(await deaf.query('select 1').catch((error: unknown) => error))).toBe(true);
  await deaf.end();
});

test('the pool is known to the server by its name, and gives int8 as a string', async () => {
  const { rows } = await pool.query(`select application_name as name, 9007199254740993::bigint as big from pg_stat_activity where pid = pg_backend_pid()`);
  expect(rows).toEqual([{ name: 'pool test', big: '9007199254740993' }]);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { BEGINNING } from '#schemas/brand.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { newFacts, newFamily } from '#shared/log/event-log-facts.contract.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { startEngineProcess } from '../../tests/harness/engine-process.ts';
import { prepareTlsServer, type OwnServer } from '../../tests/harness/own-servers.ts';
import { hasOpenssl, makeAuthority, type PrivateAuthority } from '../../tests/harness/private-authority.ts';
import { until } from '../../tests/harness/system.ts';
import { createChannelListener } from './channel-listener.ts';
import { addRows } from './copy-rows.ts';
import { inTransaction } from './in-transaction.ts';
import { migrate } from './migrate.ts';
import { createPool, readOnly } from './pool.ts';
import { reachDatabase } from './reach-database.ts';

(hasOpenssl ? describe : describe.skip)('a Postgres that is spoken to by TLS alone, with sslmode=verify-full (needs openssl)', () => {
  let folder: string;
  let authority: PrivateAuthority;
  let server: OwnServer;
  let pool: pg.Pool;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tekai-postgres-tls-'));
    authority = makeAuthority(folder);
    server = await prepareTlsServer(authority);
    await server.start();
    pool = createPool(server.url, { connectionsMax: 4, applicationName: 'tls-test' });
  });
  afterAll(async () => {
    await pool.end();
    await server.remove();
    await rm(folder, { recursive: true });
  });
  const reach = (url: string) => reachDatabase(url, { setting: 'TEKAI_DATABASE_URL', isWritten: true });
  const changed = (change: (url: URL) => void) => { const url = new URL(server.url); change(url); return url.href; };

  test('statements, migrations, COPY, transactions, LISTEN and the log go over it', async () => {
    await reach(server.url);
    expect(await migrate({ url: server.url, owners: [eventLogMigrations] })).not.toEqual([]);
    expect((await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')).rows).toEqual([{ ssl: true }]);
    await pool.query('create table copied (a text)');
    await inTransaction(pool, (client) => addRows(client, 'copied', [{ a: 'one' }, { a: 'two' }]));
    const looking = createPool(readOnly(server.url), { connectionsMax: 1, applicationName: 'tls-test' });
    expect((await looking.query('select a from copied order by a')).rows).toEqual([{ a: 'one' }, { a: 'two' }]);
    await looking.end();

    const heard: string[] = [];
    const letGo = createChannelListener(pool, { channel: 'tls_test', onPayload: (payload) => heard.push(payload) }).hold();
    await until('it is heard', async () => { await pool.query(`select pg_notify('tls_test', 'said')`); return heard.includes('said'); });
    letGo();

    const log = createPostgresEventLog({ pool });
    const [stream, facts] = [newFamily().of('a'), newFacts(3)];
    await log.append(stream, 'noStream', facts);
    for await (const batch of log.subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.timeout(60_000) })) {
      expect(batch.facts.map(({ id }) => id)).toEqual(facts.map(({ id }) => id));
      break;
    }
  });

  test.each([
    ['another authority', () => changed((url) => url.searchParams.set('sslrootcert', makeAuthority(folder, 'stranger').certFile)), /no connection by TLS to localhost:\d+; correct sslmode, sslrootcert/],
    ['another name than the certificate is for', () => changed((url) => { url.hostname = '127.0.0.1'; }), /no connection by TLS to 127\.0\.0\.1/],
    ['no TLS', () => changed((url) => url.searchParams.set('sslmode', 'disable')), /no encryption.*lets nobody in like this/],
  ])('%s is told with what to do, and waited for', async (_, url, words) => {
    const told = await reach(url()).catch((error: unknown) => error);
    expect(told).toBeInstanceOf(Unavailable);
    expect((told as Error).message).toMatch(words);
    expect((told as Error).message).not.toContain(new URL(server.url).password);
  });

  test('a certificate file that is not there is a wrong setting', async () => {
    await expect(reach(changed((url) => url.searchParams.set('sslrootcert', '/nowhere/ca.pem')))).rejects.toThrow(StartRefused);
  });

  test('a whole engine runs on it, its workers too', async () => {
    const engine = await startEngineProcess({ settings: { TEKAI_STATE_DIR: path.join(folder, 'state'), TEKAI_DATABASE_URL: server.url } });
    try {
      await engine.untilReady();
      const { rows } = await pool.query(`select ssl, count(*)::int from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'tekai-%' group by ssl`);
      expect(rows).toEqual([{ ssl: true, count: expect.any(Number) }]);
    } finally {
      await engine.stop();
    }
  });
});

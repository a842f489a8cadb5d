import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { runningEmbeddedUrl } from './embedded-join.ts';
import { startEmbeddedPostgres } from './embedded-server.ts';

test('a second program finds the server that an engine runs, and none before or after', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'tekai-join-'));
  expect(await runningEmbeddedUrl(stateDir)).toBeUndefined();
  const server = await startEmbeddedPostgres({ stateDir });
  const url = await runningEmbeddedUrl(stateDir);
  expect(url).toBe(server.url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  await server.stop();
  expect(await runningEmbeddedUrl(stateDir)).toBeUndefined();
  await rm(stateDir, { recursive: true, force: true });
});

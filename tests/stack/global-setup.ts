import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startFakeGcs } from '../../infra/servers/fake-gcs.ts';
import { startKafka } from '../../infra/servers/kafka.ts';
import { obtainNginx } from '../../infra/servers/nginx.ts';
import { startRedis } from '../../infra/servers/redis.ts';
import { startS3Proxy } from '../../infra/servers/s3proxy.ts';
import { startSeaweedfs } from '../../infra/servers/seaweedfs.ts';
import { NotHere, type RunningServer, type ServerOptions } from '../../infra/servers/server.ts';
import { startPostgres } from '../../infra/servers/postgres.ts';
import prepareRun from '../harness/global-setup.ts';
import { LEFT_OUT } from './left-out.ts';

declare global {
  var tekaiStack: { readonly folder: string; readonly servers: RunningServer[] } | undefined;
}

/** What the tests of this run ask for, by the environment variable that names it. One of each for the whole run; a test that kills one starts its own. */
const SERVERS = { TEKAI_TEST_DATABASE_URL: startPostgres, TEKAI_TEST_KAFKA: startKafka, TEKAI_TEST_REDIS: startRedis, TEKAI_TEST_S3: startS3Proxy, TEKAI_TEST_GCS: startFakeGcs, TEKAI_TEST_SEAWEEDFS: (options: ServerOptions) => startSeaweedfs({ ...options, isThere: true }) };
/** A second server of a kind of which there is one already, and whose making nobody waits for. */
const MAY_LACK = ['TEKAI_TEST_SEAWEEDFS'];

/** What tests start themselves, on what they have started before: by where it lies. */
const PROGRAMS = { TEKAI_TEST_NGINX: obtainNginx };

export default async function globalSetup(): Promise<void> {
  await startServers(Object.keys({ ...SERVERS, ...PROGRAMS }));
  process.stderr.write(`NOT ON THE STACK, ${LEFT_OUT.length} of tests/e2e:\n${LEFT_OUT.map(({ file, test, why }) => `  ${file}${test === undefined ? '' : `, "${test}"`}: ${why}\n`).join('')}`);
}

/** Those of these variables. What a machine cannot have is left out by name, and its tests say that they were not tried; with TEKAI_TEST_STACK=all that is an error. */
export async function startServers(variables: readonly string[]): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tekai-stack-'));
  // Postgres does not run as root, and lies in here.
  await chmod(folder, 0o755);
  const servers: RunningServer[] = [];
  globalThis.tekaiStack = { folder, servers };
  for (const [variable, start] of Object.entries(SERVERS).filter(([variable]) => variables.includes(variable))) {
    await orNotTried(variable, async () => {
      const server = await start({ directory: path.join(folder, variable.toLowerCase()) });
      servers.push(server);
      return server.url;
    });
  }
  for (const [variable, obtain] of Object.entries(PROGRAMS).filter(([variable]) => variables.includes(variable))) await orNotTried(variable, obtain);
  // Where the system has no Postgres, the one that package.json brings.
  await prepareRun();
}

async function orNotTried(variable: string, have: () => Promise<string>): Promise<void> {
  if (process.env[variable]) return;
  try {
    process.env[variable] = await have();
  } catch (error) {
    if (!(error instanceof NotHere) || (process.env['TEKAI_TEST_STACK'] === 'all' && !MAY_LACK.includes(variable))) throw error;
    process.stderr.write(`NOT TRIED: what needs ${variable}: ${error.message}\n`);
  }
}

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { readCluster } from './embedded-cluster.ts';
import { engineUrl } from './embedded-hold.ts';
import { chooseServerHome, dataOf } from './embedded-home.ts';

const CONNECT_MS_MAX = 5_000;

/**
 * The address of the embedded Postgres that an engine runs in this state folder now, for a second program beside it; undefined
 * when none is up (then `startEmbeddedPostgres` may). Holds a secret.
 */
export async function runningEmbeddedUrl(stateDir: string): Promise<string | undefined> {
  if (!existsSync(join(stateDir, 'postgres'))) return undefined;
  const { directory } = await chooseServerHome(stateDir);
  if (!existsSync(dataOf(directory))) return undefined;
  const cluster = await readCluster(directory);
  const port = Number(await readFile(cluster.portFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(port) || port < 1) return undefined;
  const url = engineUrl(cluster, port);
  return (await answers(url)) ? url : undefined;
}

/** By its password too: the port may be another program's by now. */
async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS_MAX });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

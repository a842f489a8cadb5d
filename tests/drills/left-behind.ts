import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { System } from '../harness/system.ts';

/** I11: an engine that has ended by itself leaves no process, no connection and nothing half written. */
export async function expectNothingLeftBehind({ stateDir, databaseUrl }: System): Promise<void> {
  assert.deepEqual(await processesNaming(stateDir), [], 'processes of the engine that still run');
  for (const folder of ['work', 'blobs/parts']) {
    // Into an array of this test's own: Jest's realms differ.
    assert.deepEqual([...await readdir(path.join(stateDir, folder)).catch(() => [])], [], `what was being written in ${folder}`);
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(`select application_name as name from pg_stat_activity where datname = current_database() and application_name in ('tekai-log', 'tekai-intake', 'tekai-work', 'tekai-read')`);
    assert.deepEqual(rows, [], 'connections of the engine that are still open');
  } finally {
    await client.end();
  }
}

/** By command line or working directory, where there is a /proc. A replay beside the engine names the folder in neither. */
async function processesNaming(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (command.includes(folder)) found.push(command);
  }
  return found;
}

import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './embedded-binaries.ts';
import { explainOutput } from './embedded-complaints.ts';
import { EmbeddedPostgresError, explainFileError } from './embedded-error.ts';
import { dataOf, type ServerHome } from './embedded-home.ts';

const execute = promisify(execFile);

/** The role that only the supervisor uses; nobody else may be superuser. */
export const SUPERVISOR_ROLE = 'supervisor';

/** A cluster on disk, ready to be served. */
export type Cluster = {
  data: string;
  portFile: string;
  supervisorPassword: string;
  enginePassword: string;
};

/** initdb takes 0.9 s; a slow disk syncs 40 MB for a while. */
const INITDB_MS_MAX = 300_000;

/** Opens the cluster of a home, and makes it with initdb first if there is none. */
export async function openCluster(home: ServerHome, binaries: PostgresBinaries, signal?: AbortSignal): Promise<Cluster> {
  const tried = `prepare the cluster in ${home.directory}`;
  const data = dataOf(home.directory);
  try {
    await removeLeftovers(home.directory);
    const version = await readVersion(data);
    if (version === undefined) await makeCluster(home, { binaries, signal });
    else refuseOtherVersion({ data, version, binaries });
    return await readCluster(home.directory);
  } catch (error) {
    throw explainFileError(tried, home.directory, error);
  }
}

/** What is noted beside the data of a cluster that was made. */
export async function readCluster(home: string): Promise<Cluster> {
  const secrets = await readFile(join(home, 'cluster', 'password'), 'utf8');
  const [supervisorPassword = '', enginePassword = ''] = secrets.split('\n');
  return { data: dataOf(home), portFile: join(home, 'cluster', 'port'), supervisorPassword, enginePassword };
}

async function readVersion(data: string): Promise<string | undefined> {
  return readFile(join(data, 'PG_VERSION'), 'utf8').then((text) => text.trim(), (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

function refuseOtherVersion({ data, version, binaries }: { data: string; version: string; binaries: PostgresBinaries }): void {
  const [ours] = binaries.version.split('.');
  if (version === ours) return;
  throw new EmbeddedPostgresError('wrong-version', {
    tried: `open the cluster in ${data}`,
    why: `it was written by Postgres ${version}, and the binaries here are Postgres ${ours}.`,
    todo: 'start the engine release that wrote it, dump, and restore into a new state folder.',
  });
}

/** Built aside and renamed when whole: a kill or a full disk in the middle, or a second starter, never leaves half a cluster. */
async function makeCluster(home: ServerHome, { binaries, signal }: { binaries: PostgresBinaries; signal: AbortSignal | undefined }): Promise<void> {
  const fresh = join(home.directory, `cluster.new-${randomUUID()}`);
  try {
    await mkdir(join(fresh, 'data'), { recursive: true, mode: 0o700 });
    await chmod(fresh, 0o755);
    await chown(join(fresh, 'data'), home.account.uid, home.account.gid);
    await runInitdb(fresh, { home, binaries, signal });
    await rename(fresh, join(home.directory, 'cluster'));
    await syncFolder(home.directory);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    // Another starter was first: its cluster, with its passwords, is the one.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

async function runInitdb(fresh: string, { home, binaries, signal }: {
  home: ServerHome; binaries: PostgresBinaries; signal: AbortSignal | undefined;
}): Promise<void> {
  const supervisorPassword = randomBytes(24).toString('base64url');
  const enginePassword = randomBytes(24).toString('base64url');
  await writeSecret(join(fresh, 'password'), `${supervisorPassword}\n${enginePassword}\n`);
  // initdb reads this one as its own account, which must not read the other.
  const initialPassword = join(fresh, 'initial-password');
  await writeSecret(initialPassword, supervisorPassword);
  await chown(initialPassword, home.account.uid, home.account.gid);

  await execute(join(binaries.directory, 'bin', 'initdb'), [
    '--pgdata', join(fresh, 'data'), '--username', SUPERVISOR_ROLE, `--pwfile=${initialPassword}`,
    '--auth=scram-sha-256', '--encoding=UTF8', '--no-instructions',
    // The builtin provider sorts by code point on every system, so an upgrade of the system cannot break an index.
    '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8',
  ], {
    ...home.account.switchTo, cwd: '/', env: { LC_ALL: 'C', TZ: 'UTC' }, timeout: INITDB_MS_MAX, killSignal: 'SIGKILL',
    ...(signal ? { signal } : {}),
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    signal?.throwIfAborted();
    throw explainOutput('create the database files (initdb)', error.stderr || error.stdout || error.message, error);
  });
  await rm(initialPassword);
}

async function writeSecret(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flag: 'wx', flush: true });
}

/** Those of a killed initdb or copy. One that is still being made is younger than that may take. */
async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.includes('.new-')) continue;
    const found = await stat(join(home, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > 2 * INITDB_MS_MAX) await rm(join(home, name), { recursive: true, force: true });
  }
}

async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

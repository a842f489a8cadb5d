import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chown, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What `postmaster.pid` says of a postmaster that lives. `port` is missing for the moment in which the file is being written. */
export type LivePostmaster = { pid: number; port: number | undefined };

/** The postmaster that serves `data` now, whoever started it; undefined if the file is missing, stale, or names another program. */
export async function findPostmaster(data: string): Promise<LivePostmaster | undefined> {
  const lines = await readPidFile(data);
  const pid = Number(lines?.[0]);
  if (!lines || !await isPostmasterOf(data, pid)) return undefined;
  const port = Number(lines[3]);
  return { pid, port: port > 0 ? port : undefined };
}

/**
 * Whether `pid` is a postmaster of this data folder: by its command line, because a process id alone may have been given to
 * another program since, and a dead child that nobody waits for (process 1 of a container) keeps its id but has no command line.
 */
export async function isPostmasterOf(data: string, pid: number): Promise<boolean> {
  if (!Number.isInteger(pid) || pid < 1) return false;
  if (process.platform === 'linux') {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').then((text) => text.split('\0'), () => []);
    return /(^|\/)postgres$/.test(words[0] ?? '') && words[1] === '-D' && words[2] === data;
  }
  const { stdout } = await execute('/bin/ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.includes(`/postgres -D ${data} `);
}

/**
 * Lets Postgres take over a stale lock whose process id now belongs to another program. Postgres itself refuses that when the
 * program runs as the same user, and its advice is to remove the file. We do not: the file also holds the shared memory key by
 * which Postgres sees backends that outlived a killed postmaster. Our own id goes in its first line instead; Postgres takes its
 * parent's id for stale and still checks that memory.
 */
export async function disownStalePidFile(data: string): Promise<void> {
  const lines = await readPidFile(data);
  if (!lines || !isAlive(Number(lines[0])) || await isPostmasterOf(data, Number(lines[0]))) return;
  const file = join(data, 'postmaster.pid');
  const { uid, gid } = await stat(file);
  const fresh = `${file}.new-${process.pid}`;
  await writeFile(fresh, [process.pid, ...lines.slice(1)].join('\n'), { mode: 0o600 });
  await chown(fresh, uid, gid);
  await rename(fresh, file);
}

/**
 * Whether a postmaster that we cannot see serves `data`: one of another container on the same volume. Its process id means
 * nothing here and its shared memory is not ours to look at, so Postgres would start a second server on the same files; but its
 * socket in the data folder answers across containers of one machine. (Across machines nothing does: one volume, one machine.)
 */
export async function isServedOutOfSight(data: string): Promise<boolean> {
  const lines = await readPidFile(data);
  if (!lines) return false;
  const socket = connect({ path: join(data, `.s.PGSQL.${lines[3]}`) });
  try {
    await once(socket, 'connect');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
  return await findPostmaster(data) === undefined;
}

async function readPidFile(data: string): Promise<string[] | undefined> {
  return readFile(join(data, 'postmaster.pid'), 'utf8').then((text) => text.split('\n'), (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

import { randomUUID } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isMissingFile } from './file-trouble.ts';

/** Nobody writes to one part for longer. Only asked where its writer cannot be: another machine on the same volume. */
const PART_AGE_MS_MAX = 24 * 3_600_000;

/** Tells this process from one that had its number before: in a container every process is number 1. */
const THIS_PROCESS = randomUUID();
const THIS_HOST = hostname().replace(/[^A-Za-z0-9-]/g, '-');

/** A new name for a file being written: says who writes it, so that a later process can tell whether they still live. */
export function partName(): string {
  return `${THIS_HOST}.${process.pid}.${THIS_PROCESS}.${randomUUID()}`;
}

/** Removes what processes that died have left, files or folders. A part that somebody is writing stays. */
export async function sweepParts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (await isAbandoned(name, path)) await rm(path, { recursive: true, force: true });
  }
}

async function isAbandoned(name: string, path: string): Promise<boolean> {
  const [host, pid, writer] = name.split('.');
  if (writer === THIS_PROCESS) return false;
  if (host === THIS_HOST && (Number(pid) === process.pid || !isAlive(Number(pid)))) return true;
  try {
    return Date.now() - (await stat(path)).mtimeMs > PART_AGE_MS_MAX;
  } catch (error) {
    if (isMissingFile(error)) return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

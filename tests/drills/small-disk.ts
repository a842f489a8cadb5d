import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../harness/system.ts';

const run = promisify(execFile);
/** The last bytes too: what is left after the large pieces. */
const PIECES = [1_048_576, 4_096];

/** A file system of the drill's own, small enough to be filled. */
export interface SmallDisk {
  /** A folder on it. */
  readonly stateDir: string;
  /** Not one block is left. What is freed meanwhile is taken again by the next call. */
  fill(): Promise<void>;
  free(): Promise<void>;
  /** Waits until nobody has a file open to write: a kernel that does it after an error does not. */
  makeReadOnly(): Promise<void>;
  makeWritable(): Promise<void>;
  remove(): Promise<void>;
}

/** Why there can be none here, tried with one of a page: only root on Linux mounts, and not in every container. */
export function whyNoSmallDisk(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'tekai-drill-disk-'));
  try {
    execFileSync('mount', tmpfsAt(directory, '4k'), { stdio: 'pipe' });
    execFileSync('umount', [directory], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `no file system of its own can be mounted here (${(error as Error).message.trim().split('\n').at(-1)}); run it as root on Linux`;
  } finally {
    rmdirSync(directory);
  }
}

export async function mountSmallDisk({ megabytes }: { readonly megabytes: number }): Promise<SmallDisk> {
  const directory = await mkdtemp(join(tmpdir(), 'tekai-drill-disk-'));
  await run('mount', tmpfsAt(directory, `${megabytes}m`));
  const stateDir = join(directory, 'state');
  await mkdir(stateDir);
  await chmod(stateDir, 0o755);
  const ballast = join(directory, 'ballast');
  const remount = (how: string) => run('mount', ['-o', `remount,${how}`, directory]);
  return {
    stateDir,
    fill: () => fill(ballast),
    free: () => rm(ballast, { force: true }),
    makeReadOnly: () => until('nobody writes', () => remount('ro').then(() => true, () => false)).then(() => undefined),
    async makeWritable() { await remount('rw'); },
    async remove() {
      // Lazily: a process that a red drill left may still have a file open.
      await run('umount', ['-l', directory]);
      await rmdir(directory);
    },
  };
}

const tmpfsAt = (directory: string, size: string) => ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', directory];

async function fill(ballast: string): Promise<void> {
  const file = await open(ballast, 'a');
  try {
    for (const bytes of PIECES) {
      const piece = Buffer.alloc(bytes);
      for (;;) if (!await file.write(piece).then(({ bytesWritten }) => bytesWritten > 0, isRoom)) break;
    }
  } finally {
    await file.close();
  }
}

function isRoom(error: NodeJS.ErrnoException): boolean {
  if (error.code !== 'ENOSPC') throw error;
  return false;
}

import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { NotHere } from './server.ts';

const run = promisify(execFile);

/** Outside of any clone: a server of 100 MB is fetched or built once on a machine. */
const CACHE = process.env['TEKAI_SERVERS_CACHE'] ?? path.join(homedir(), '.cache/tekai-servers');
/** SeaweedFS takes minutes to compile on two cores. */
const OBTAIN_MS_MAX = 1_800_000;
const OUTPUT_BYTES_MAX = 64 * 1_048_576;

export interface Wanted {
  /** With its version: another version is another folder. */
  readonly name: string;
  readonly command: string;
  readonly args: (folder: string) => readonly string[];
  readonly env?: (folder: string) => Readonly<Record<string, string>>;
  /** Where it is had by hand, because it takes so long: how. */
  readonly byHand?: string | undefined;
}

/** The folder that a command filled, which is run where it was not run yet. @throws NotHere with what the command said */
export async function obtain({ name, command, args, env = () => ({}), byHand }: Wanted): Promise<string> {
  const folder = path.join(CACHE, name);
  if (await exists(folder)) return folder;
  if (byHand !== undefined) throw new NotHere(`${name} is not on this machine, and is had by hand only: ${byHand}`);
  const partial = `${folder}.part-${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    await run(command, [...args(partial)], { timeout: OBTAIN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX, env: { ...process.env, ...env(partial) } });
    // All of it or nothing, also when two obtain it at once.
    await rename(partial, folder).catch(async (error: unknown) => { if (!(await exists(folder))) throw error; });
  } catch (error) {
    throw new NotHere(`${name} is not on this machine, and "${command} ${args('…').join(' ')}" does not get it: ${firstLines(error)}`);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

/** The path of a program that a package of the system brings. @throws NotHere with which package that is */
export async function installed(program: string, debianPackage: string): Promise<string> {
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']) {
    const file = path.join(folder, program);
    if (folder !== '' && (await exists(file))) return file;
  }
  throw new NotHere(`${program} is not on this machine: apt-get install ${debianPackage}`);
}

const exists = (file: string) => access(file).then(() => true, () => false);

function firstLines(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  return (stderr.trim() || message).split('\n').slice(0, 5).join(' | ').slice(0, 600);
}

import { execFile } from 'node:child_process';
import { access, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort, NotHere, runServer, type RunningServer, type ServerOptions } from './server.ts';

const run = promisify(execFile);
const VERSIONS = '/usr/lib/postgresql';
const ROLE = 'tekai';
const PASSWORD = 'tekai';
const CONNECTIONS_MAX = 500;

export interface PostgresOptions extends ServerOptions {
  /** More words of its command line, such as `-c ssl=on`. */
  readonly more?: readonly string[];
}

/** A real Postgres of the system's packages, with a superuser and a database `tekai`. A folder that was used before is gone on with; as root it must lie where everybody may pass. @throws NotHere without the package */
export async function startPostgres({ directory, port, more = [] }: PostgresOptions): Promise<RunningServer> {
  const bin = await binaries();
  const own = port ?? await freePort();
  const account = await accountFor();
  const data = path.join(directory, 'data');
  await mkdir(directory, { recursive: true });
  await mkdir(data, { recursive: true, mode: 0o700 });
  if (account !== undefined) for (const folder of [directory, data]) await chown(folder, account.uid, account.gid);
  if (!(await exists(path.join(data, 'PG_VERSION')))) await initialise({ bin, data, account });
  return runServer({
    name: 'postgres', port: own, url: `postgres://${ROLE}:${PASSWORD}@127.0.0.1:${own}/postgres`,
    command: path.join(bin, 'postgres'),
    args: ['-D', data, '-p', String(own), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${data}`, '-c', `max_connections=${CONNECTIONS_MAX}`, '-c', 'jit=off', ...more],
    ...account,
    isReady: async () => { await run(path.join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(own)]); return true; },
  });
}

/** Undefined: as this process. */
type Account = { readonly uid: number; readonly gid: number } | undefined;

async function initialise({ bin, data, account }: { bin: string; data: string; account: Account }): Promise<void> {
  const passwordFile = path.join(path.dirname(data), 'initial-password');
  await writeFile(passwordFile, PASSWORD);
  if (account !== undefined) await chown(passwordFile, account.uid, account.gid);
  await run(path.join(bin, 'initdb'), ['-D', data, '-U', ROLE, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions'], { ...account, cwd: '/' });
}

/** Of the newest version that is installed. */
async function binaries(): Promise<string> {
  const [newest] = (await readdir(VERSIONS).catch((): string[] => [])).sort((a, b) => Number(b) - Number(a));
  const bin = path.join(VERSIONS, newest ?? '', 'bin');
  if (newest === undefined || !(await exists(path.join(bin, 'postgres')))) throw new NotHere('Postgres is not on this machine: apt-get install postgresql');
  return bin;
}

/** Postgres does not run as root: then as the account of its package. */
async function accountFor(): Promise<Account> {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout.trim());
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

const exists = (file: string) => access(file).then(() => true, () => false);

import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
// Relative, because Jest's globalSetup does not go through moduleNameMapper.
import { chooseServerAccount, type ServerAccount } from '../../shared/postgres/embedded-account.ts';
import { binariesFor } from '../../shared/postgres/embedded-binaries.ts';
import { findFreePort } from '../../shared/postgres/embedded-postmaster.ts';

const execute = promisify(execFile);

/** Every worker of a Jest run holds a few pools on this one server. */
const CONNECTIONS_MAX = 400;
const START_MS_MAX = 60_000;

export type ThrowawayServer = { url: string; stop(): Promise<void> };

/** A cluster in a temporary folder that nobody serves yet. */
export type PreparedServer = { folder: string; data: string; url: string; account: ServerAccount; command: readonly string[] };

/**
 * A Postgres in a temporary folder that dies with this process, also when this process is killed: the shell that keeps it
 * reads our pipe, and the pipe's end is its order to stop the server and remove the folder.
 * fsync stays on: off was not measurably faster (two files: 5–11 s without, 5–8 s with). Tests that kill a server start their own.
 */
export async function startThrowawayServer(): Promise<ThrowawayServer> {
  const prepared = await prepareServer();
  const { stop } = await runPrepared(prepared, { removed: prepared.folder });
  return {
    url: prepared.url,
    async stop() {
      await stop();
      await rm(prepared.folder, { recursive: true, force: true });
    },
  };
}

export async function prepareServer(): Promise<PreparedServer> {
  const account = await chooseServerAccount();
  const folder = await mkdtemp(join(tmpdir(), 'tekai-test-postgres-'));
  await chown(folder, account.uid, account.gid);
  // As root, a clone below /root or a folder of mktemp is closed to that account: then a copy of them is run.
  const { directory } = await binariesFor(folder, account);

  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  await chown(passwordFile, account.uid, account.gid);
  const data = join(folder, 'data');
  await execute(join(directory, 'bin/initdb'), [
    '-D', data, '-U', 'test', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8',
    '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--no-sync', '--no-instructions',
  ], { ...account.switchTo, cwd: folder });

  const port = await findFreePort();
  const command = [
    join(directory, 'bin/postgres'), '-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${data}`,
    '-c', 'jit=off',
    '-c', `max_connections=${CONNECTIONS_MAX}`, '-c', 'shared_buffers=128MB', '-c', 'max_wal_size=4GB',
  ];
  return { folder, data, account, command, url: `postgres://test:${password}@127.0.0.1:${port}/postgres` };
}

/** Serves it until `stop`, or until this process ends; then `removed`, if given, goes as well. Resolves once it answers. */
export async function runPrepared({ folder, account, command, url }: PreparedServer, { removed = '' }: { removed?: string } = {}): Promise<{ stop(): Promise<void> }> {
  const keeper = spawn('/bin/sh', ['-c', KEEPER_SCRIPT, 'keeper', removed, ...command], {
    ...account.switchTo, cwd: folder, detached: true, stdio: ['pipe', 'ignore', 'pipe'],
  });
  let log = '';
  keeper.stderr.on('data', (chunk: Buffer) => { log = (log + chunk.toString()).slice(-4_000); });
  const gone = new Promise<void>((resolve) => { keeper.once('exit', () => resolve()); });
  await answers(url, () => keeper.exitCode === null, () => log);
  keeper.unref();
  (keeper.stderr as unknown as { unref(): void }).unref();
  return {
    async stop() {
      keeper.ref();
      keeper.stdin.end();
      await gone;
    },
  };
}

// $1 the folder to remove, or nothing; the rest the server's command line. SIGQUIT: what is about to be removed need not be flushed.
const KEEPER_SCRIPT = `
folder=$1; shift
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
( cat <&3 >/dev/null; kill -QUIT $server ) &
wait $server
status=$?
[ -z "$folder" ] || rm -rf "$folder"
exit $status
`;

async function answers(url: string, isRunning: () => boolean, log: () => string): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.end();
    } catch (cause) {
      if (!isRunning() || Date.now() > deadline) throw new Error(`the test run's Postgres did not start: ${log()}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

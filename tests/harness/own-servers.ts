import { execFile } from 'node:child_process';
import { appendFile, chown, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '../../shared/postgres/embedded-postmaster.ts';
import type { PrivateAuthority } from './private-authority.ts';
import { prepareServer, runPrepared, type PreparedServer } from './throwaway-server.ts';

const execute = promisify(execFile);

/** A server of a test's own, which can be stopped and started again on its port. */
export interface OwnServer { readonly url: string; start(): Promise<void>; stop(): Promise<void>; remove(): Promise<void> }

function ownServer(prepared: PreparedServer, url = prepared.url): OwnServer {
  let running: { stop(): Promise<void> } | undefined;
  const stop = async () => { await running?.stop(); running = undefined; };
  return {
    url, stop,
    async start() { running ??= await runPrepared({ ...prepared, url }); },
    async remove() { await stop(); await rm(prepared.folder, { recursive: true, force: true }); },
  };
}

/** A Postgres that is spoken to by TLS alone. The URL wants its certificate to be of this authority, and for `localhost`. */
export async function prepareTlsServer(authority: PrivateAuthority): Promise<OwnServer> {
  const prepared = await prepareServer();
  const { certFile, keyFile } = authority.server('localhost');
  const files = { cert: path.join(prepared.folder, 'server-cert.pem'), key: path.join(prepared.folder, 'server-key.pem') };
  for (const [from, to] of [[certFile, files.cert], [keyFile, files.key]] as const) {
    await copyFile(from, to);
    await chown(to, prepared.account.uid, prepared.account.gid);
  }
  await execute('chmod', ['600', files.key]);
  const rules = path.join(prepared.data, 'pg_hba.conf');
  await writeFile(rules, (await readFile(rules, 'utf8')).replaceAll(/^host /gm, 'hostssl '));
  const url = new URL(prepared.url);
  url.hostname = 'localhost';
  url.searchParams.set('sslmode', 'verify-full');
  url.searchParams.set('sslrootcert', authority.certFile);
  return ownServer({ ...prepared, command: [...prepared.command, '-c', 'ssl=on', '-c', `ssl_cert_file=${files.cert}`, '-c', `ssl_key_file=${files.key}`] }, url.href);
}

/** A Postgres, and a copy of it that follows by its own write-ahead log: made before either was started, for the binaries bring no pg_basebackup. */
export async function prepareReplicated(): Promise<{ readonly primary: OwnServer; readonly replica: OwnServer }> {
  const prepared = await prepareServer();
  const { username, password, port } = new URL(prepared.url);
  const copy = path.join(prepared.folder, 'replica');
  await execute('cp', ['-a', prepared.data, copy]);
  const own = async (file: string, text: string) => {
    await appendFile(path.join(copy, file), text);
    await chown(path.join(copy, file), prepared.account.uid, prepared.account.gid);
  };
  await own('standby.signal', '');
  await own('postgresql.auto.conf', `primary_conninfo = 'host=127.0.0.1 port=${port} user=${username} password=${password}'\n`);
  const replicaPort = String(await findFreePort());
  const command = prepared.command.map((word) => (word === prepared.data ? copy : word === port ? replicaPort : word.replace(prepared.data, copy)));
  const url = new URL(prepared.url);
  url.port = replicaPort;
  return { primary: ownServer(prepared), replica: ownServer({ ...prepared, data: copy, command, url: url.href }) };
}

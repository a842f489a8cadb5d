import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmbeddedPostgresError, OWN_DATABASE_HINT } from './embedded-error.ts';

/** The operating-system account that Postgres runs as. `switchTo` is absent when it is our own. */
export type ServerAccount = { uid: number; gid: number; switchTo?: { uid: number; gid: number } };

/** Our own account; or, because Postgres refuses to run as root, `postgres` or else `nobody` (initdb wants a passwd entry). */
export async function chooseServerAccount(passwdFile: string = '/etc/passwd'): Promise<ServerAccount> {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  if (uid !== 0) return { uid, gid };

  const passwd = await readFile(passwdFile, 'utf8').catch(() => '');
  for (const name of ['postgres', 'nobody']) {
    const [, , uidText, gidText] = passwd.split('\n').find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    const found = { uid: Number(uidText), gid: Number(gidText) };
    // macOS writes nobody's as -2; a spawn takes only what is not negative.
    if (found.uid > 0 && found.gid > 0) return { ...found, switchTo: found };
  }
  throw new EmbeddedPostgresError('no-account', {
    tried: 'choose an account to run Postgres as',
    why: 'the engine runs as root, which Postgres refuses, and there is neither a `postgres` nor a `nobody` account.',
    todo: `run the engine as an ordinary user, ${OWN_DATABASE_HINT}.`,
  });
}

/** The account that owns a cluster made before, so that a root engine goes on as whoever it was last time. */
export async function ownerOfData(data: string): Promise<ServerAccount | undefined> {
  const owner = await stat(data).catch(() => undefined);
  if (owner === undefined || owner.uid === 0) return undefined;
  const account = { uid: owner.uid, gid: owner.gid };
  return process.getuid?.() === 0 ? { ...account, switchTo: account } : account;
}

/**
 * Whether `account` may pass through a folder and all those above it. By the mode bits: a root process cannot ask the kernel
 * on another's behalf, and access lists that say otherwise are rare enough to end in an error of Postgres.
 */
export async function canEnter(directory: string, account: ServerAccount): Promise<boolean> {
  for (let current = directory; ; current = dirname(current)) {
    const { uid, gid, mode } = await stat(current);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

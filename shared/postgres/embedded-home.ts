import { createHash, randomBytes } from 'node:crypto';
import { chmod, link, lstat, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { canEnter, chooseServerAccount, ownerOfData, type ServerAccount } from './embedded-account.ts';
import { EmbeddedPostgresError, explainFileError, OWN_DATABASE_HINT } from './embedded-error.ts';

/** The folder that holds everything of one embedded Postgres, and the account that the server runs as. */
export type ServerHome = { directory: string; account: ServerAccount; isElsewhere: boolean };

/** Folders that every account may pass through; only root comes to need one. */
const ELSEWHERE = ['/var/lib/tekai-engine', '/var/tmp/tekai-engine'];
const POINTER = 'LOCATION.txt';

/** The data folder of the cluster in a home. */
export const dataOf = (home: string): string => join(home, 'cluster', 'data');

/**
 * Finds or makes the home: `<stateDir>/postgres`. A root engine whose state folder the server's account cannot reach (/root/x,
 * a mkdtemp folder: mode 700) gets a home elsewhere, and the pointer file in the state folder says where.
 */
export async function chooseServerHome(stateDir: string, elsewhere: readonly string[] = ELSEWHERE): Promise<ServerHome> {
  const tried = `prepare the state folder ${stateDir}`;
  try {
    await makeFolder(stateDir);
    const state = await realpath(stateDir);
    const inside = join(state, 'postgres');
    await makeOpenFolder(inside);

    const pointed = await followPointer(inside);
    if (pointed) return { directory: pointed, account: await accountFor(pointed), isElsewhere: true };
    const account = await accountFor(inside);
    if (!account.switchTo || await canEnter(inside, account)) return { directory: inside, account, isElsewhere: false };
    await refuseIfData(inside, account);
    return { directory: await makeHomeElsewhere(state, { inside, account, elsewhere }), account, isElsewhere: true };
  } catch (error) {
    throw explainFileError(tried, stateDir, error);
  }
}

async function accountFor(home: string): Promise<ServerAccount> {
  const owner = await ownerOfData(dataOf(home));
  const own = process.getuid?.();
  if (owner && own !== 0 && own !== owner.uid) {
    throw new EmbeddedPostgresError('not-writable', {
      tried: `open the cluster in ${home}`,
      why: `it belongs to user id ${owner.uid}, and the engine runs as ${own}.`,
      todo: `run the engine as the user that made it (or as root), name another state folder, ${OWN_DATABASE_HINT}.`,
    });
  }
  return owner ?? chooseServerAccount();
}

async function followPointer(inside: string): Promise<string | undefined> {
  const pointer = join(inside, POINTER);
  const text = await readFile(pointer, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const home = text?.split('\n')[0];
  if (!home) return undefined;
  // Starting with an empty database instead would look like the loss of everything.
  if (await lstat(home).then((found) => !found.isDirectory(), () => true)) {
    throw new EmbeddedPostgresError('data-missing', {
      tried: 'find the database',
      why: `${pointer} says it lies in ${home}, and there is no such folder (a new container without the old one's ${home}?).`,
      todo: `bring that folder back; or, to start with an empty database, remove ${pointer}.`,
    });
  }
  return home;
}

async function refuseIfData(inside: string, account: ServerAccount): Promise<void> {
  if (await lstat(dataOf(inside)).then(() => false, () => true)) return;
  throw new EmbeddedPostgresError('not-writable', {
    tried: `open the cluster in ${inside}`,
    why: `its user (id ${account.uid}) can no longer pass through the folders above it.`,
    todo: `let others pass again (chmod o+x) on each of them, ${OWN_DATABASE_HINT}.`,
  });
}

async function makeHomeElsewhere(state: string, { inside, account, elsewhere }: {
  inside: string; account: ServerAccount; elsewhere: readonly string[];
}): Promise<string> {
  const hash = createHash('sha256').update(state).digest('hex').slice(0, 12);
  // With a random part: a state folder that was removed and made anew must not find the data of the one before it.
  const name = `${basename(state).replace(/[^\w.-]/g, '_')}-${hash}-${randomBytes(4).toString('hex')}`;
  let lastError: unknown;
  for (const parent of elsewhere) {
    try {
      await makeOpenFolder(parent);
      await refuseIfNotOurs(parent);
      if (!await canEnter(parent, account)) continue;
      const home = join(parent, name);
      await makeOpenFolder(home);
      return await writePointer(inside, { home, state, account });
    } catch (error) {
      lastError = error;
    }
  }
  throw new EmbeddedPostgresError('not-writable', {
    tried: `find a place for the database of ${state}`,
    why: `Postgres runs as user id ${account.uid}, who can reach neither the state folder nor any of ${elsewhere.join(', ')}.`,
    todo: `name a state folder below folders that others may pass through, run as an ordinary user, ${OWN_DATABASE_HINT}.`,
    cause: lastError,
  });
}

/** Two starters at once: the file of the first one stands, and the second follows it. */
async function writePointer(inside: string, { home, state, account }: { home: string; state: string; account: ServerAccount }): Promise<string> {
  const text = `${home}\n\nThe database of ${state} lies in the folder above. The engine was started as root; Postgres refuses\n`
    + `to run as root, and the account it runs as (user id ${account.uid}) cannot reach this state folder.\n`
    + 'Keep both folders together: back both up, remove both.\n';
  const fresh = join(inside, `${POINTER}.new-${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(fresh, text, { mode: 0o644 });
    await link(fresh, join(inside, POINTER));
    return home;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return await followPointer(inside) ?? home;
  } finally {
    await rm(fresh, { force: true });
  }
}

/** A folder that others may pass through, whatever the umask. */
async function makeOpenFolder(directory: string): Promise<void> {
  try {
    await mkdir(directory);
    await chmod(directory, 0o755);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await lstat(directory)).isDirectory()) throw error;
  }
}

/** /var/tmp is everybody's: what lies there under our name may be somebody else's trap. */
async function refuseIfNotOurs(directory: string): Promise<void> {
  const { uid, mode } = await lstat(directory);
  if (uid === process.getuid?.() && (mode & 0o022) === 0) return;
  throw new EmbeddedPostgresError('not-writable', {
    tried: `use the folder ${directory}`,
    why: 'others than the user of the engine may write there, so its content cannot be trusted.',
    todo: `remove it or give it to root with mode 755, ${OWN_DATABASE_HINT}.`,
  });
}

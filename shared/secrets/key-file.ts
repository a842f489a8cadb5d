import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asFileTrouble, isMissingFile } from '#shared/blobs/file-trouble.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { KEY_BYTES, keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

const FILE_NAME = 'secrets.key';
/** Read, write or run by anybody but the owner. */
const OTHERS = 0o077;
/** One, and a second while they are changed; more are left over from changes that nobody finished. */
const KEYS_MAX = 16;

/** The key file cannot be used as it is; the message says what to do. */
export class KeyFileRefused extends Error {
  override readonly name = 'KeyFileRefused';
}

export const keyFileOf = (directory: string) => join(directory, FILE_NAME);

/**
 * The keys that secrets are enciphered with: `<directory>/secrets.key`, 64 hex digits a line, for its owner's eyes only. Made
 * with one at the first start, and only then: a new key would make every secret of the vault unreadable, so when there are
 * secrets (`keyIdsInUse`) and their keys are not here, this says which file is missing. Back it up apart from the database.
 * @throws SecretUnreadable | KeyFileRefused | Unavailable
 */
export async function loadOrCreateKeys(directory: string, { keyIdsInUse }: { keyIdsInUse(): Promise<readonly string[]> }): Promise<readonly Buffer[]> {
  const path = keyFileOf(directory);
  const inUse = await keyIdsInUse();
  const found = await readKeys(directory);
  if (!found && inUse.length > 0) {
    throw new SecretUnreadable(`${path} is missing, and the vault holds secrets enciphered with key ${inUse.join(', ')}: bring that file back from its backup or from the machine that made it. If it is lost, so are they: empty the tables "secrets" and "secret_keys", start again, and set every secret anew`);
  }
  const keys = found ?? await createFile(directory);
  if (inUse.length > 0 && !keys.some((key) => inUse.includes(keyIdOf(key)))) {
    throw new SecretUnreadable(`${path} holds key ${keys.map(keyIdOf).join(', ')}, and the vault's secrets are enciphered with key ${inUse.join(', ')}: bring back the file that belongs to this database`);
  }
  return keys;
}

/** In the order of the file; undefined when there is none. @throws KeyFileRefused | Unavailable */
export async function readKeys(directory: string): Promise<readonly Buffer[] | undefined> {
  const path = keyFileOf(directory);
  try {
    const { mode } = await stat(path);
    // Windows has no such modes.
    if (process.platform !== 'win32' && mode & OTHERS) {
      throw new KeyFileRefused(`${path} can be used by others than its owner (mode ${(mode & 0o777).toString(8)}): run "chmod 600 ${path}", and consider its secrets known to whoever had an account on this machine`);
    }
    return parseKeys(path, await readFile(path, 'utf8'));
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw asFileTrouble('key file', path, error);
  }
}

/** Another key behind those that are there; gives its id. @throws KeyFileRefused | Unavailable */
export async function addKey(directory: string): Promise<string> {
  const keys = await readKeys(directory) ?? [];
  if (keys.length >= KEYS_MAX) throw new KeyFileRefused(`${keyFileOf(directory)} has ${keys.length} keys: take away by hand those lines whose keys nothing needs ("tekai secrets keys" shows which do)`);
  const key = randomBytes(KEY_BYTES);
  await replaceFile(directory, [...keys, key]);
  return keyIdOf(key);
}

/** False when it was not there. The last one stays. @throws KeyFileRefused | Unavailable */
export async function removeKey(directory: string, keyId: string): Promise<boolean> {
  const keys = await readKeys(directory) ?? [];
  const left = keys.filter((key) => keyIdOf(key) !== keyId);
  if (left.length === keys.length) return false;
  if (left.length === 0) throw new KeyFileRefused(`${keyFileOf(directory)} has no other key than ${keyId}: copy it from where "tekai secrets rotate-key" was run`);
  await replaceFile(directory, left);
  return true;
}

function parseKeys(path: string, text: string): readonly Buffer[] {
  const lines = text.trim().split('\n').map((line) => line.trim());
  const keys = lines.map((line) => Buffer.from(line, 'hex'));
  if (lines.length > KEYS_MAX || lines.some((line, n) => keys[n]?.length !== KEY_BYTES || line.length !== KEY_BYTES * 2)) {
    throw new KeyFileRefused(`${path} is not a key of ${KEY_BYTES * 2} hex digits, nor some of them on lines of their own: bring it back from its backup`);
  }
  return keys;
}

/** The link fails when another start was faster; then theirs is the key. */
async function createFile(directory: string): Promise<readonly Buffer[]> {
  const path = keyFileOf(directory);
  const key = randomBytes(KEY_BYTES);
  try {
    await writeWhole(directory, [key], (part) => link(part, path));
    return [key];
  } catch (error) {
    const faster = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await readKeys(directory) : undefined;
    if (faster) return faster;
    throw asFileTrouble('key file', path, error);
  }
}

async function replaceFile(directory: string, keys: readonly Buffer[]): Promise<void> {
  const path = keyFileOf(directory);
  try {
    await writeWhole(directory, keys, (part) => rename(part, path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && ['EBUSY', 'EROFS', 'EACCES', 'EPERM', 'EXDEV'].includes(code)) {
      throw new KeyFileRefused(`${path} cannot be written here (${code}). Run this with TEKAI_KEYS_DIR at a folder of your own with a copy of it (mode 0600), and give that copy to whatever puts the file there`, { cause: error });
    }
    throw asFileTrouble('key file', path, error);
  }
}

/** Whole and on the disk under another name first: a process that dies leaves no half file. */
async function writeWhole(directory: string, keys: readonly Buffer[], putInPlace: (part: string) => Promise<void>): Promise<void> {
  const part = `${keyFileOf(directory)}.${randomBytes(8).toString('hex')}`;
  try {
    await makeFolder(directory, { mode: 0o700 });
    await writeSynced(part, keys.map((key) => `${key.toString('hex')}\n`).join(''));
    await putInPlace(part);
    const folder = await open(directory, 'r');
    await folder.sync().finally(() => folder.close());
  } finally {
    await rm(part, { force: true });
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

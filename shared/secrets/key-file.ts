import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asFileTrouble, isMissingFile } from '#shared/blobs/file-trouble.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { KEY_BYTES, keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

const FILE_NAME = 'secrets.key';
/** Read, write or run by anybody but the owner. */
const OTHERS = 0o077;

/** The key file cannot be used as it is; the message says what to do. */
export class KeyFileRefused extends Error {
  override readonly name = 'KeyFileRefused';
}

/**
 * The key that secrets are enciphered with: `<directory>/secrets.key`, 64 hex digits, for its owner's eyes only. Made at
 * the first start, and only then: a new key would make every secret of the vault unreadable, so when there are secrets
 * (`keyIdsInUse`) and their key is not here, this says which file is missing. Back it up apart from the database.
 * @throws SecretUnreadable | KeyFileRefused | Unavailable
 */
export async function loadOrCreateKey(directory: string, { keyIdsInUse }: { keyIdsInUse(): Promise<readonly string[]> }): Promise<Buffer> {
  const path = join(directory, FILE_NAME);
  const inUse = await keyIdsInUse();
  const found = await ifPresent(path);
  if (!found && inUse.length > 0) {
    throw new SecretUnreadable(`${path} is missing, and the vault holds secrets enciphered with key ${inUse.join(', ')}: bring that file back from its backup or from the machine that made it. If it is lost, so are they: empty the table "secrets", start again, and set every secret anew`);
  }
  const key = found ?? await createKey(directory, path);
  if (inUse.length > 0 && !inUse.includes(keyIdOf(key))) {
    throw new SecretUnreadable(`${path} holds key ${keyIdOf(key)}, and the vault's secrets are enciphered with key ${inUse.join(', ')}: bring back the file that belongs to this database`);
  }
  return key;
}

async function ifPresent(path: string): Promise<Buffer | undefined> {
  try {
    const { mode } = await stat(path);
    // Windows has no such modes.
    if (process.platform !== 'win32' && mode & OTHERS) {
      throw new KeyFileRefused(`${path} can be used by others than its owner (mode ${(mode & 0o777).toString(8)}): run "chmod 600 ${path}", and consider its secrets known to whoever had an account on this machine`);
    }
    return parseKey(path, await readFile(path, 'utf8'));
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw asFileTrouble('key file', path, error);
  }
}

function parseKey(path: string, text: string): Buffer {
  const key = Buffer.from(text.trim(), 'hex');
  if (key.length !== KEY_BYTES || text.trim().length !== KEY_BYTES * 2) throw new KeyFileRefused(`${path} is not a key of ${KEY_BYTES * 2} hex digits: bring it back from its backup`);
  return key;
}

/** Whole and on the disk under another name first: a process that dies leaves no half key. The link fails when another start was faster; then theirs is the key. */
async function createKey(directory: string, path: string): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES);
  const part = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await makeFolder(directory, { mode: 0o700 });
    await writeSynced(part, `${key.toString('hex')}\n`);
    await link(part, path);
    const folder = await open(directory, 'r');
    await folder.sync().finally(() => folder.close());
    return key;
  } catch (error) {
    const faster = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await ifPresent(path) : undefined;
    if (faster) return faster;
    throw asFileTrouble('key file', path, error);
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

import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addKey, KeyFileRefused, loadOrCreateKeys, readKeys, removeKey } from './key-file.ts';
import { keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'tekai-key-')), 'state');
  path = join(directory, 'secrets.key');
});
afterEach(() => rm(join(directory, '..'), { recursive: true }));

const loadOnlyKey = async (...given: Parameters<typeof loadOrCreateKeys>) => {
  const [key, ...more] = await loadOrCreateKeys(...given);
  expect(more).toEqual([]);
  return key!;
};
const emptyVault = { keyIdsInUse: async () => [] };
const vaultOf = (...ids: string[]) => ({ keyIdsInUse: async () => ids });

test('the first start makes a key that only its owner can read, and every later one finds it', async () => {
  const key = await loadOnlyKey(directory, emptyVault);
  expect(key.length).toBe(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await readFile(path, 'utf8')).trim()).toBe(key.toString('hex'));
  expect(await readdir(directory)).toEqual(['secrets.key']);
  expect(await loadOnlyKey(directory, emptyVault)).toEqual(key);
  expect(await loadOnlyKey(directory, vaultOf(keyIdOf(key), 'an-older-key'))).toEqual(key);
});

test('processes that start at once agree on one key', async () => {
  const keys = await Promise.all(Array.from({ length: 10 }, () => loadOnlyKey(directory, emptyVault)));
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
  expect(await readdir(directory)).toEqual(['secrets.key']);
});

test('two folders have two keys', async () => {
  expect(await loadOnlyKey(directory, emptyVault)).not.toEqual(await loadOnlyKey(join(directory, 'other'), emptyVault));
});

test.each([0o640, 0o604, 0o660, 0o644])('a file of mode %o is refused, with the command that mends it', async (mode) => {
  const key = await loadOnlyKey(directory, emptyVault);
  await chmod(path, mode);
  await expect(loadOnlyKey(directory, emptyVault)).rejects.toThrow(KeyFileRefused);
  await expect(loadOnlyKey(directory, emptyVault)).rejects.toThrow(`chmod 600 ${path}`);
  await chmod(path, 0o400);
  expect(await loadOnlyKey(directory, emptyVault)).toEqual(key);
});

test('no new key is made when the vault has secrets: the error names the file that is missing', async () => {
  await expect(loadOnlyKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(SecretUnreadable);
  await expect(loadOnlyKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(new RegExp(`^${path} is missing.*0123456789abcdef`));
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
});

test('a key that is not the vault\'s is refused at the start', async () => {
  const key = await loadOnlyKey(directory, emptyVault);
  await expect(loadOnlyKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(new RegExp(`holds key ${keyIdOf(key)}.*0123456789abcdef`));
});

test.each(['', 'not hex', randomBytes(31).toString('hex'), randomBytes(33).toString('hex'), `${randomBytes(32).toString('hex')}zz`])('a file that is no key is refused and left alone: %j', async (text) => {
  await loadOnlyKey(directory, emptyVault);
  await writeFile(path, text);
  const error = await loadOnlyKey(directory, emptyVault).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KeyFileRefused);
  if (text !== '') expect((error as Error).message).not.toContain(text);
  expect(await readFile(path, 'utf8')).toBe(text);
});

test('a second key stands behind the first, on a line of its own; it is added and removed in one step, and the file stays its owner\'s', async () => {
  const first = await loadOnlyKey(directory, emptyVault);
  const second = await addKey(directory);
  expect((await readKeys(directory))?.map(keyIdOf)).toEqual([keyIdOf(first), second]);
  expect([(await stat(path)).mode & 0o777, await readdir(directory)]).toEqual([0o600, ['secrets.key']]);
  expect((await loadOrCreateKeys(directory, vaultOf(second))).length).toBe(2);
  expect([await removeKey(directory, keyIdOf(first)), await removeKey(directory, keyIdOf(first))]).toEqual([true, false]);
  expect((await readKeys(directory))?.map(keyIdOf)).toEqual([second]);
  expect(await readFile(path, 'utf8')).not.toContain(first.toString('hex'));
});

test('the last key stays', async () => {
  const key = await loadOnlyKey(directory, emptyVault);
  await expect(removeKey(directory, keyIdOf(key))).rejects.toThrow(KeyFileRefused);
  expect(await readKeys(directory)).toEqual([key]);
});

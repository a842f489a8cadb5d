import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyFileRefused, loadOrCreateKey } from './key-file.ts';
import { keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'tekai-key-')), 'state');
  path = join(directory, 'secrets.key');
});
afterEach(() => rm(join(directory, '..'), { recursive: true }));

const emptyVault = { keyIdsInUse: async () => [] };
const vaultOf = (...ids: string[]) => ({ keyIdsInUse: async () => ids });

test('the first start makes a key that only its owner can read, and every later one finds it', async () => {
  const key = await loadOrCreateKey(directory, emptyVault);
  expect(key.length).toBe(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await readFile(path, 'utf8')).trim()).toBe(key.toString('hex'));
  expect(await readdir(directory)).toEqual(['secrets.key']);
  expect(await loadOrCreateKey(directory, emptyVault)).toEqual(key);
  expect(await loadOrCreateKey(directory, vaultOf(keyIdOf(key), 'an-older-key'))).toEqual(key);
});

test('processes that start at once agree on one key', async () => {
  const keys = await Promise.all(Array.from({ length: 10 }, () => loadOrCreateKey(directory, emptyVault)));
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
  expect(await readdir(directory)).toEqual(['secrets.key']);
});

test('two folders have two keys', async () => {
  expect(await loadOrCreateKey(directory, emptyVault)).not.toEqual(await loadOrCreateKey(join(directory, 'other'), emptyVault));
});

test.each([0o640, 0o604, 0o660, 0o644])('a file of mode %o is refused, with the command that mends it', async (mode) => {
  const key = await loadOrCreateKey(directory, emptyVault);
  await chmod(path, mode);
  await expect(loadOrCreateKey(directory, emptyVault)).rejects.toThrow(KeyFileRefused);
  await expect(loadOrCreateKey(directory, emptyVault)).rejects.toThrow(`chmod 600 ${path}`);
  await chmod(path, 0o400);
  expect(await loadOrCreateKey(directory, emptyVault)).toEqual(key);
});

test('no new key is made when the vault has secrets: the error names the file that is missing', async () => {
  await expect(loadOrCreateKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(SecretUnreadable);
  await expect(loadOrCreateKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(new RegExp(`^${path} is missing.*0123456789abcdef`));
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
});

test('a key that is not the vault\'s is refused at the start', async () => {
  const key = await loadOrCreateKey(directory, emptyVault);
  await expect(loadOrCreateKey(directory, vaultOf('0123456789abcdef'))).rejects.toThrow(new RegExp(`holds key ${keyIdOf(key)}.*0123456789abcdef`));
});

test.each(['', 'not hex', randomBytes(31).toString('hex'), randomBytes(33).toString('hex'), `${randomBytes(32).toString('hex')}zz`])('a file that is no key is refused and left alone: %j', async (text) => {
  await loadOrCreateKey(directory, emptyVault);
  await writeFile(path, text);
  const error = await loadOrCreateKey(directory, emptyVault).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KeyFileRefused);
  if (text !== '') expect((error as Error).message).not.toContain(text);
  expect(await readFile(path, 'utf8')).toBe(text);
});

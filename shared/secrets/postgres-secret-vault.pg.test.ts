import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase } from '../../tests/harness/postgres.ts';
import { holdKeys } from './held-keys.ts';
import { addKey } from './key-file.ts';
import { createPostgresSecretKeys } from './postgres-secret-keys.ts';
import { createPostgresSecretVault } from './postgres-secret-vault.ts';
import { createDigest, createSecretCipher, digestKeyOf, keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';
import { secretVaultContract } from './secret-vault.contract.ts';

async function openVault() {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: [{ name: 'secrets', directory: migrationsDirectory(import.meta.url) }] });
  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'secret-vault-test' });
  const directory = await mkdtemp(join(tmpdir(), 'tekai-vault-'));
  const keys = await holdKeys({ directory, keys: createPostgresSecretKeys({ pool }), process: 'test' });
  const key = Buffer.from((await readFile(join(directory, 'secrets.key'), 'utf8')).trim(), 'hex');
  return { pool, key, keys, directory, vault: createPostgresSecretVault({ pool, keys }), close: async () => { await pool.end(); await database.drop(); await rm(directory, { recursive: true }); } };
}

secretVaultContract('postgres', openVault);

describe('secrets in Postgres', () => {
  let opened: Awaited<ReturnType<typeof openVault>>;
  beforeAll(async () => { opened = await openVault(); });
  afterAll(() => opened.close());
  beforeEach(() => opened.pool.query('truncate secrets'));

  test('no plaintext is in the table: neither the value nor its digest nor the key', async () => {
    const canary = 'glpat-CANARY-0123456789';
    await opened.vault.put('source/1/gitlab-token', canary);
    const { rows: [row] } = await opened.pool.query<{ text: string }>(`select row(s.*)::text || encode(s.sealed, 'escape') || encode(s.nonce, 'escape') as text from secrets s`);
    for (const secret of [canary, opened.vault.digest(canary), opened.key.toString('hex')]) {
      for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')]) expect(row!.text).not.toContain(form);
    }
    expect(row!.text).toContain(keyIdOf(opened.key));
  });

  test('one value put twice looks different each time', async () => {
    const sealed = async () => (await opened.pool.query(`select sealed, nonce from secrets`)).rows[0];
    await opened.vault.put('source/1/gitlab-token', 'same');
    const first = await sealed();
    await opened.vault.put('source/1/gitlab-token', 'same');
    expect(await sealed()).not.toEqual(first);
  });

  test.each([
    ['a changed byte', `update secrets set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1)`],
    ['a changed tag', `update secrets set sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)`],
    ['another nonce', `update secrets set nonce = set_byte(nonce, 3, get_byte(nonce, 3) # 1)`],
    ['a value cut short', `update secrets set sealed = substr(sealed, 1, length(sealed) - 1)`],
    ['a tag cut short', `update secrets set sealed = substr(sealed, 1, 4)`],
    ['an empty value', `update secrets set sealed = ''`],
    ['an empty nonce', `update secrets set nonce = ''`],
    ['another key id', `update secrets set key_id = 'ffffffffffffffff'`],
  ])('a row with %s is SecretUnreadable, and the error does not tell the value', async (_, tamper) => {
    await opened.vault.put('source/1/gitlab-token', 'canary-value');
    await opened.pool.query(tamper);
    const error = await opened.vault.get('source/1/gitlab-token').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SecretUnreadable);
    expect(String((error as Error).stack)).not.toContain('canary-value');
  });

  test('a row moved or copied to another name is SecretUnreadable', async () => {
    await opened.vault.put('source/mine/gitlab-token', 'mine');
    await opened.vault.put('source/yours/gitlab-token', 'yours');
    await opened.pool.query(`update secrets set (key_id, nonce, sealed) = (select key_id, nonce, sealed from secrets where name = 'source/yours/gitlab-token') where name = 'source/mine/gitlab-token'`);
    await expect(opened.vault.get('source/mine/gitlab-token')).rejects.toThrow(SecretUnreadable);
    expect(await opened.vault.get('source/yours/gitlab-token')).toBe('yours');
  });

  test('who has another key can neither read nor put: SecretUnreadable names both keys and the file', async () => {
    await opened.vault.put('source/1/gitlab-token', 'value');
    const directory = await mkdtemp(join(tmpdir(), 'tekai-vault-'));
    const [id, key] = [await addKey(directory), Buffer.from((await readFile(join(directory, 'secrets.key'), 'utf8')).trim(), 'hex')];
    await expect(holdKeys({ directory, keys: createPostgresSecretKeys({ pool: opened.pool }), process: 'other' })).rejects.toThrow(SecretUnreadable);
    // As one that came by its key before the database was another's.
    const cipher = createSecretCipher(key);
    const other = createPostgresSecretVault({ pool: opened.pool, keys: { ...opened.keys, ids: () => [id], cipher: async (keyId) => { if (keyId === id) return cipher; throw new SecretUnreadable(`no ${keyId}`); } } });
    await expect(other.get('source/1/gitlab-token')).rejects.toThrow(`no ${keyIdOf(opened.key)}`);
    await expect(other.put('source/1/gitlab-token', 'anew')).rejects.toThrow(SecretUnreadable);
    expect(await opened.vault.get('source/1/gitlab-token')).toBe('value');
    await rm(directory, { recursive: true });
  });

  test('digests are those of before keys could be changed: under a key that follows from the first', () => {
    // Stored ones stand in facts, for good.
    const first = Buffer.from('00'.repeat(32), 'hex');
    expect([createDigest(digestKeyOf(first))('text'), opened.vault.digest('text')]).toEqual(['feb3a1a29db559a4268e91938156acbfa94d4267a05458259bcbdb580679bfab', createDigest(digestKeyOf(opened.key))('text')]);
  });

  test('a vault whose database is not there is Unavailable', async () => {
    const pool = createPool('postgres://nobody@127.0.0.1:1/none', { connectionsMax: 1, applicationName: 'secret-vault-test' });
    const vault = createPostgresSecretVault({ pool, keys: opened.keys });
    await expect(vault.get('a')).rejects.toThrow(Unavailable);
    await expect(vault.put('a', 'b')).rejects.toThrow(/^secret vault: /);
    await pool.end();
  });
});

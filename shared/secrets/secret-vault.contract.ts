import type { SecretVault } from './secret-vault.ts';

export interface OpenedSecretVault {
  readonly vault: SecretVault;
  close(): Promise<void>;
}

/** What every secret vault must do. `open` gives an empty one, with a key of its own. */
export function secretVaultContract(adapter: string, open: () => Promise<OpenedSecretVault>): void {
  describe(`secret vault: ${adapter}`, () => {
    let opened: OpenedSecretVault;
    let vault: SecretVault;
    beforeAll(async () => {
      opened = await open();
      vault = opened.vault;
    });
    afterAll(() => opened.close());

    test('a secret is given back as it was put', async () => {
      const values = ['glpat-x', '', 'with "quotes", \\ and \0', 'größer 日本語 🔑', 'x'.repeat(65_536)];
      for (const [n, value] of values.entries()) await vault.put(`source/${n}/gitlab-token`, value);
      for (const [n, value] of values.entries()) expect(await vault.get(`source/${n}/gitlab-token`)).toBe(value);
    });

    test('a secret put again is the new one', async () => {
      await vault.put('source/again/token', 'old');
      await vault.put('source/again/token', 'new');
      expect(await vault.get('source/again/token')).toBe('new');
    });

    test('of many puts at once, one is kept whole', async () => {
      const values = Array.from({ length: 10 }, (_, n) => `value ${n}`);
      await Promise.all(values.map((value) => vault.put('source/raced/token', value)));
      expect(values).toContain(await vault.get('source/raced/token'));
    });

    test('a secret that was deleted or never put is undefined', async () => {
      await vault.put('source/gone/token', 'x');
      await vault.delete('source/gone/token');
      await vault.delete('source/gone/token');
      expect(await vault.get('source/gone/token')).toBeUndefined();
      expect(await vault.get('source/never/token')).toBeUndefined();
    });

    test.each(['', '/', 'a//b', 'a b', '../x', 'a\0', 'x'.repeat(201)])('the name %j is refused', async (name) => {
      await expect(vault.put(name, 'canary-value')).rejects.toThrow(TypeError);
    });

    test('a value that is too large is refused, and is not in the error', async () => {
      await expect(vault.put('source/large/token', 'canary'.repeat(20_000))).rejects.toThrow(expect.objectContaining({ message: expect.not.stringContaining('canary') }));
    });

    test('equal texts have equal digests of 32 bytes, others do not', () => {
      expect(vault.digest('text')).toMatch(/^[0-9a-f]{64}$/);
      expect(vault.digest('text')).toBe(vault.digest('text'));
      expect(vault.digest('text ')).not.toBe(vault.digest('text'));
    });

    test('another vault digests the same text differently', async () => {
      const other = await open();
      expect(other.vault.digest('text')).not.toBe(vault.digest('text'));
      await other.close();
    });
  });
}

import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import type { Logger } from '#shared/runtime/logger.ts';
import { holdKeys } from './held-keys.ts';
import { openKeyWorld, type KeyWorld } from './key-world.fixture.ts';
import { keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

let world: KeyWorld;
beforeAll(async () => { world = await openKeyWorld(); });
afterAll(() => world.close());
beforeEach(() => world.empty());

function looking(turns: number) {
  const warned: unknown[] = [];
  let looked: () => void = () => undefined;
  const isOver = new Promise<void>((resolve) => { looked = resolve; });
  return {
    warned, isOver, logger: { warn: (...line: unknown[]) => warned.push(line) } as unknown as Logger,
    // Time that passes at once, so many times, and then not at all.
    sleep: async (_ms: number, signal: AbortSignal) => {
      turns -= 1;
      if (turns >= 0) return;
      looked();
      await new Promise<void>((resolve) => { signal.addEventListener('abort', () => resolve()); });
    },
  };
}

test('what is wrong with the file is said once, however often it is looked at; the process goes on with what it has, and tells of itself no more when it stops', async () => {
  const held = await holdKeys({ directory: world.host('a'), keys: world.keys, process: 'a 1' });
  const [id] = held.ids();
  await chmod(`${world.host('a')}/secrets.key`, 0o644);
  const { warned, isOver, ...watch } = looking(4);
  held.watch(watch);
  await isOver;
  expect(warned).toEqual([[{ reason: expect.stringContaining('chmod 600') }, expect.any(String)]]);
  expect((await held.cipher(id!)).keyId).toBe(id);
  expect((await world.keys.read()).holders).toEqual([{ process: 'a 1', keyIds: [id] }]);
  await held.stop();
  expect((await world.keys.read()).holders).toEqual([]);
});

test('a file that lacks a key which something needs takes it from nobody who runs: that is said, what it tells of is what the file has, and a start with it is refused', async () => {
  const engine = await world.start('a');
  await engine.vault.put('source/1/gitlab-token', 'before');
  const [id] = engine.held.ids();
  const file = `${world.host('a')}/secrets.key`;
  const right = await readFile(file, 'utf8');
  const wrong = randomBytes(32);
  await writeFile(file, `${wrong.toString('hex')}\n`);
  for (let looks = 0; looks < 2; looks += 1) expect(await engine.held.look()).toMatch(`has key ${keyIdOf(wrong)} and lacks key ${id}, which`);
  expect((await world.keys.read()).holders).toMatchObject([{ keyIds: [keyIdOf(wrong)] }]);
  expect(await engine.vault.get('source/1/gitlab-token')).toBe('before');
  await engine.vault.put('source/1/gitlab-token', 'after');
  expect(await engine.vault.get('source/1/gitlab-token')).toBe('after');
  await expect(world.start('a')).rejects.toThrow(SecretUnreadable);

  await writeFile(file, right);
  expect([await engine.held.look(), engine.held.ids()]).toEqual([undefined, [id]]);
});

test('told to stop, it does not wait for a database that is silent', async () => {
  let isSilent = false;
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => { asked = resolve; });
  const held = await holdKeys({
    directory: world.host('a'), process: 'a 1',
    keys: { ...world.keys, tell: (...told) => { if (!isSilent) return world.keys.tell(...told); asked(); return new Promise(() => undefined); } },
  });
  isSilent = true;
  held.watch(looking(1));
  await isAsked;
  await held.stop();
});

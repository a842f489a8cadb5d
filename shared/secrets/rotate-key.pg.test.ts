import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { DIGEST_KEY } from './held-keys.ts';
import { openKeyWorld, killable, Killed, type KeyWorld, type VaultProcess } from './key-world.fixture.ts';
import { createPostgresSecretVault } from './postgres-secret-vault.ts';
import { dropKey } from './rotate-key.ts';
import { phaseOf } from './rotation-phase.ts';
import { keyIdOf } from './secret-cipher.ts';
import { SecretUnreadable } from './secret-unreadable.ts';

let world: KeyWorld;
beforeAll(async () => { world = await openKeyWorld(); });
afterAll(() => world.close());
beforeEach(() => world.empty());

const NAMES = ['source/1/gitlab-token', 'source/2/gitlab-token', 'identity-key/a'];
const idOf = (line: string) => keyIdOf(Buffer.from(line, 'hex'));
const rowsByKey = async () => Object.fromEntries((await world.keys.read()).secrets);
const currentId = async () => (await world.keys.read()).keys.find(({ state }) => state === 'current')!.id;
const blocked = async (statement: string) => (await world.pool.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1`, [`%${statement}%`])).rowCount === 1;
const here = (name = 'a') => ({ directory: world.host(name), keys: world.keys });

async function started(host = 'a'): Promise<VaultProcess> {
  const process = await world.start(host);
  for (const name of NAMES) await process.vault.put(name, `value of ${name}`);
  return process;
}

async function readsEverything({ vault }: VaultProcess): Promise<void> {
  for (const name of NAMES) expect(await vault.get(name)).toBe(`value of ${name}`);
}

test('a process that runs takes the new key up by itself; then it enciphers everything, and the old key can go', async () => {
  const engine = await started();
  const [first] = await world.keysOn('a');
  const digest = engine.vault.digest('text');
  expect(await world.rotate('a')).toBe('waits');
  expect(world.phases.at(-1)).toMatchObject({ kind: 'telling', lacking: [expect.stringMatching(/^a /)] });
  await engine.vault.put(NAMES[0]!, `value of ${NAMES[0]}`);
  expect(Object.keys(await rowsByKey())).toEqual([idOf(first!)]);

  await engine.held.look();
  const rotated = await world.rotate('a');
  const [, second] = await world.keysOn('a');
  expect(rotated).toMatchObject({ phase: { kind: 'done', current: idOf(second!), old: idOf(first!) }, unreadable: [] });
  expect(await rowsByKey()).toEqual({ [idOf(second!)]: NAMES.length + 1 });
  await readsEverything(engine);
  await engine.vault.put(NAMES[1]!, 'anew');
  expect(await rowsByKey()).toEqual({ [idOf(second!)]: NAMES.length + 1 });

  expect(await dropKey(here(), idOf(first!))).toEqual({ kind: 'dropped' });
  expect(await world.keysOn('a')).toEqual([second]);
  const next = await world.start('a');
  expect(await next.vault.get(NAMES[1]!)).toBe('anew');
  expect([next.vault.digest('text'), engine.vault.digest('text')]).toEqual([digest, digest]);
  // What nobody needs is held by nobody.
  await engine.held.look();
  expect(engine.held.ids()).toEqual([idOf(second!)]);
});

test('a process that does not have the new key holds the change up, and is given nothing that it cannot read, until its host has the file', async () => {
  const [here, there] = [await started('a'), await (async () => { await world.copyKeys('a', 'b'); return world.start('b'); })()];
  expect(await world.rotate('a')).toBe('waits');
  await Promise.all([here.held.look(), there.held.look()]);
  expect(await world.rotate('a')).toBe('waits');
  expect(world.phases.at(-1)).toMatchObject({ kind: 'telling', lacking: [expect.stringMatching(/^b /)] });
  await here.vault.put('source/3/gitlab-token', 'put meanwhile');
  expect(await there.vault.get('source/3/gitlab-token')).toBe('put meanwhile');
  // A start with the old file alone is no trouble as long as it is enough.
  await readsEverything(await world.start('b'));

  await world.copyKeys('a', 'b');
  await there.held.look();
  expect(await world.rotate('a')).toBe('waits');
});

test('one that was silent for a minute is not waited for; when it comes back it takes the key from the file by itself', async () => {
  const [engine, silent] = [await started(), await world.start('a')];
  await world.rotate('a');
  await engine.held.look();
  await world.forgetDead(silent);
  expect(await world.rotate('a')).toMatchObject({ phase: { kind: 'done' } });
  await readsEverything(silent);
  await silent.vault.put(NAMES[2]!, 'by one that came back');
  expect(await engine.vault.get(NAMES[2]!)).toBe('by one that came back');
});

test('a process with the old file alone does not start on secrets of the new key, and says which key is missing; nor does one with the new file on a backup of before', async () => {
  const engine = await started();
  const backup = (await world.pool.query('select * from secrets')).rows;
  await world.copyKeys('a', 'old');
  await world.forgetDead(engine);
  await world.rotate('a');
  const [first, second] = (await world.keysOn('a')).map(idOf);
  const refused = await world.start('old').catch((error: unknown) => error as Error);
  expect(refused).toBeInstanceOf(SecretUnreadable);
  expect(String(refused)).toMatch(new RegExp(`holds key ${first}, and the vault's secrets are enciphered with key ${second}: bring back the file`));
  // Whoever was refused keeps nobody waiting.
  expect((await world.keys.read()).holders).toEqual([]);

  await dropKey(here(), first!);
  await world.pool.query('truncate secrets, secret_keys');
  for (const { name, key_id: keyId, nonce, sealed } of backup) await world.keys.putIfNone(name, { keyId, nonce, sealed });
  await expect(world.start('a')).rejects.toThrow(new RegExp(`holds key ${second}, and the vault's secrets are enciphered with key ${first}: bring back the file`));
  await readsEverything(await world.start('old'));
});

test('in the middle of a change, a file without the one or the other key says which it lacks', async () => {
  await started().then(world.forgetDead);
  await world.copyKeys('a', 'old');
  // As far as the turn: begin (7 steps), telling, turn.
  for (let killedAt = 1; phaseOf(await world.keys.read())?.kind !== 'enciphering'; killedAt += 1) await world.rotate('a', { killedAt });
  const [first, second] = await world.keysOn('a');
  await expect(world.start('old')).rejects.toThrow(new RegExp(`old/secrets.key has key ${idOf(first!)} and lacks key ${idOf(second!)}, which`));
  await mkdir(world.host('new'), { recursive: true });
  await writeFile(join(world.host('new'), 'secrets.key'), `${second}\n`, { mode: 0o600 });
  await expect(world.start('new')).rejects.toThrow(new RegExp(`has key ${idOf(second!)} and lacks key ${idOf(first!)}`));
  await readsEverything(await world.start('a'));
});

test('killed between any two of its steps, the same command goes on, one change it is, and everything is read all the while', async () => {
  for (let killedAt = 1, wasKilled = true; wasKilled; killedAt += 1) {
    await world.empty();
    const engine = await started();
    wasKilled = false;
    // Twice at the same step of what is left, and then to the end; as often as it takes until the engine has the key.
    for (let tries = 0, ran: unknown; typeof ran !== 'object'; tries += 1) {
      ran = await world.rotate('a', tries < 2 ? { killedAt } : {});
      wasKilled ||= ran === 'killed';
      await engine.held.look();
      await readsEverything(engine);
      if (typeof ran === 'object') expect(ran).toMatchObject({ phase: { kind: 'done' }, unreadable: [] });
    }
    expect(await world.keysOn('a')).toHaveLength(2);
    const old = idOf((await world.keysOn('a'))[0]!);
    for (let at = 1, dropped: unknown; dropped === undefined; at += 1) {
      dropped = await dropKey({ directory: world.host('a'), keys: killable(world.keys, at) }, old).catch((error: unknown) => { if (!(error instanceof Killed)) throw error; });
      await readsEverything(await world.start('a'));
    }
    expect((await world.keysOn('a')).map(idOf)).toEqual([await currentId()]);
    expect(phaseOf(await world.keys.read())).toEqual({ kind: 'none', current: await currentId() });
  }
}, 120_000);

test('asked for again, it is the same change; the next one begins when the old key is gone, with a key that never was one', async () => {
  await started().then(world.forgetDead);
  const once = await world.rotate('a');
  expect(await world.rotate('a')).toMatchObject({ phase: (once as { phase: object }).phase });
  const [first] = (await world.keysOn('a')).map(idOf);
  // On another host it still lies there.
  await world.copyKeys('a', 'b');
  await dropKey(here('a'), first!);
  expect(await dropKey(here('a'), first!)).toEqual({ kind: 'absent' });
  await world.rotate('b');
  expect(await currentId()).not.toBe(first);
  expect((await world.keysOn('b')).length).toBe(3);
  expect(await dropKey(here('b'), first!)).toEqual({ kind: 'dropped' });
});

test('what something needs is not dropped: the current key, and one that a secret is enciphered with', async () => {
  const engine = await started();
  expect(await dropKey(here(), await currentId())).toEqual({ kind: 'needed', why: 'current', secrets: NAMES.length });
  await world.forgetDead(engine);
  await world.rotate('a');
  const [first] = (await world.keysOn('a')).map(idOf);
  await world.pool.query(`update secrets set key_id = $1 where name = $2`, [first, NAMES[0]]);
  expect(await dropKey(here(), first!)).toEqual({ kind: 'needed', why: 'secrets', secrets: 1 });
  expect(await world.keysOn('a')).toHaveLength(2);
});

test('a change can be given up before the new key enciphers anything', async () => {
  const engine = await started();
  await world.rotate('a');
  const [, next] = (await world.keysOn('a')).map(idOf);
  expect(await dropKey(here(), next!)).toEqual({ kind: 'dropped' });
  await engine.held.look();
  expect([engine.held.ids(), phaseOf(await world.keys.read())?.kind]).toEqual([[await currentId()], 'none']);
  await readsEverything(engine);
});

test('two who begin at once begin one change, and whoever lacks its key is told where from', async () => {
  await started().then(world.forgetDead);
  await world.copyKeys('a', 'b');
  const both = await Promise.allSettled([world.rotate('a'), world.rotate('b'), world.rotate('a')]);
  const { keys } = await world.keys.read();
  expect(keys.map(({ state }) => state).sort()).toEqual(['current', 'old']);
  for (const one of both) if (one.status === 'rejected') expect(String(one.reason)).toMatch(/lacks key [0-9a-f]{16}, which/);
});

test('what is put while everything is enciphered anew is the last word, and under the new key', async () => {
  const engine = await started();
  await world.rotate('a');
  await engine.held.look();
  const written = new Map<string, string>();
  let isOver = false;
  const putting = [0, 1, 2].map(async (lane) => {
    for (let n = 0; !isOver || n < 5; n += 1) {
      const [name, value] = [`source/${lane}-${n % 7}/gitlab-token`, `${lane} ${n}`];
      await engine.vault.put(name, value);
      written.set(name, value);
    }
  });
  await world.rotate('a');
  isOver = true;
  await Promise.all(putting);
  for (const [name, value] of written) expect(await engine.vault.get(name)).toBe(value);
  expect(Object.keys(await rowsByKey())).toEqual([await currentId()]);
});

test('a put that has looked at the keys before they turn, and comes to write behind it, writes with the new key', async () => {
  const engine = await started();
  await world.rotate('a');
  await engine.held.look();
  let rotated: unknown;
  const slow = createPostgresSecretVault({ keys: engine.held, pool: {
    query: (async (...given: [string, unknown[]]) => {
      if (given[0].includes('insert into secrets')) rotated ??= await world.rotate('a');
      return world.pool.query(...given);
    }) as typeof world.pool.query,
  } });
  await slow.put('source/4/gitlab-token', 'slow');
  expect(rotated).toMatchObject({ phase: { kind: 'done' } });
  expect(Object.keys(await rowsByKey())).toEqual([await currentId()]);
  expect(await engine.vault.get('source/4/gitlab-token')).toBe('slow');
});

test('a put that is writing when the keys are to turn is waited for', async () => {
  const engine = await started();
  await world.rotate('a');
  await engine.held.look();
  const first = await currentId();
  // Of the same name, and not committed: the put cannot know yet whether there is one.
  const other = await world.pool.connect();
  await other.query('begin');
  await other.query(`insert into secrets (name, key_id, nonce, sealed) values ('source/5/gitlab-token', $1, '', '')`, [first]);
  const putting = engine.vault.put('source/5/gitlab-token', 'in the middle');
  let isOver = false;
  let rotating: Promise<unknown> = Promise.resolve();
  try {
    while (!(await blocked('insert into secrets'))) { /* It comes. */ }
    rotating = world.rotate('a').finally(() => { isOver = true; });
    while (!isOver && !(await blocked('lock table'))) { /* One of the two comes. */ }
    expect([isOver, await currentId()]).toEqual([false, first]);
  } finally {
    await other.query('rollback');
    other.release();
    await Promise.all([putting, rotating]);
  }
  expect(await engine.vault.get('source/5/gitlab-token')).toBe('in the middle');
  expect(Object.keys(await rowsByKey())).toEqual([await currentId()]);
});

test('a process that tells of itself while the keys are to be changed waits its turn, and so does the change', async () => {
  const engine = await started();
  const other = await world.pool.connect();
  await other.query('begin');
  await other.query('lock table secret_keys in share mode');
  const both: Promise<unknown>[] = [world.keys.exclusively(async (change) => (await change.read()).keys.length)];
  try {
    while (!(await blocked('lock table'))) { /* It comes. */ }
    both.push(engine.held.look());
    while (!(await blocked('insert into secret_key_holders'))) { /* It comes. */ }
  } finally {
    await other.query('rollback');
    other.release();
  }
  expect(await Promise.allSettled(both)).toEqual([{ status: 'fulfilled', value: 1 }, { status: 'fulfilled', value: undefined }]);
});

test('a secret that no key deciphers is left as it is and told by name, all others are enciphered anew; mended, the change goes on to its end', async () => {
  const engine = await started();
  await world.rotate('a');
  await engine.held.look();
  const before = await world.keys.secret(NAMES[1]!);
  await world.pool.query(`update secrets set sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) where name = $1`, [NAMES[1]]);
  expect(await world.rotate('a')).toMatchObject({ unreadable: [NAMES[1]], phase: { kind: 'enciphering', left: expect.any(Number) } });
  expect((await world.keys.secret(NAMES[1]!))?.keyId).toBe(before?.keyId);
  await engine.vault.put(NAMES[1]!, 'anew');
  expect(await world.rotate('a')).toMatchObject({ unreadable: [], phase: { kind: 'done' } });
});

test('the key of digests lies enciphered beside the secrets, and no key or value is in any table', async () => {
  await started().then(world.forgetDead);
  await world.rotate('a');
  const lines = await world.keysOn('a');
  expect((await world.keys.secret(DIGEST_KEY))?.keyId).toBe(idOf(lines[1]!));
  const rows = (await world.pool.query<{ text: string }>(`select row(s.*)::text as text from secrets s union all select row(k.*)::text from secret_keys k union all select row(h.*)::text from secret_key_holders h`)).rows.map(({ text }) => text).join('\n');
  for (const line of lines) for (const form of [line, Buffer.from(line, 'hex').toString('base64')]) expect(rows).not.toContain(form);
});

const step = fc.oneof(
  fc.record({ kind: fc.constant('start' as const), host: fc.nat(1) }),
  fc.record({ kind: fc.constantFrom('look' as const, 'die' as const, 'read' as const), process: fc.nat(9) }),
  fc.record({ kind: fc.constant('put' as const), process: fc.nat(9), name: fc.nat(4) }),
  fc.record({ kind: fc.constant('copy' as const), host: fc.nat(1) }),
  fc.record({ kind: fc.constant('rotate' as const), host: fc.nat(1), killedAt: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }) }),
  fc.record({ kind: fc.constant('drop' as const), host: fc.nat(1), state: fc.constantFrom('next' as const, 'old' as const), killedAt: fc.integer({ min: 1, max: 8 }) }),
);

test('whatever is started, killed, copied, changed and dropped on two hosts, and in whichever order: nobody who runs meets a secret that it cannot read or put, and all of it can be brought to an end', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
    await world.empty();
    const hosts = ['a', 'b'];
    const running = [await world.start('a')];
    await world.copyKeys('a', 'b');
    const digest = running[0]!.vault.digest('text');
    const model = new Map<string, string>();
    const has = async (host: string) => (await world.keysOn(host)).map(idOf);
    const needed = async () => { const { keys, secrets } = await world.keys.read(); return keys.filter(({ id, state }) => state === 'current' || state === 'next' || secrets.has(id)).map(({ id }) => id); };
    const copyTo = async (to: string) => {
      const from = to === 'a' ? 'b' : 'a';
      const ids = await has(from);
      if ((await needed()).every((id) => ids.includes(id))) await world.copyKeys(from, to);
    };
    for (const [n, one] of steps.entries()) {
      const process = 'process' in one ? running[one.process % Math.max(running.length, 1)] : undefined;
      const host = 'host' in one ? hosts[one.host]! : '';
      if (one.kind === 'copy') await copyTo(host);
      else if (one.kind === 'start') {
        const began = await world.start(host).catch((error: unknown) => { if (!(error instanceof SecretUnreadable)) throw error; });
        if (began !== undefined) running.push(began);
      } else if (one.kind === 'rotate') {
        // A file that lacks the key that was begun with is told so.
        await world.rotate(host, one.killedAt === undefined ? {} : { killedAt: one.killedAt }).catch((error: unknown) => { if (!/lacks key/.test(String(error))) throw error; });
      } else if (one.kind === 'drop') {
        const id = (await world.keys.read()).keys.find(({ state }) => state === one.state)?.id;
        // A file that has no other key, of a host to which the new one was not copied yet, keeps it, and is told so.
        if (id !== undefined) await dropKey({ directory: world.host(host), keys: killable(world.keys, one.killedAt) }, id).catch((error: unknown) => { if (!(error instanceof Killed || /has no other key than/.test(String(error)))) throw error; });
      } else if (process !== undefined) {
        if (one.kind === 'look') await process.held.look();
        if (one.kind === 'die') { running.splice(running.indexOf(process), 1); await world.forgetDead(process); }
        if (one.kind === 'put') { model.set(`s/${one.name}`, `value ${n}`); await process.vault.put(`s/${one.name}`, `value ${n}`); }
      }
      for (const { vault } of running) {
        for (const [name, value] of model) expect(await vault.get(name)).toBe(value);
        expect(vault.digest('text')).toBe(digest);
      }
    }
    // To its end, as the commands say.
    await copyTo('a');
    await world.rotate('a');
    await copyTo('b');
    for (const { held } of running) await held.look();
    expect(await world.rotate('a')).toMatchObject({ phase: { kind: 'done' }, unreadable: [] });
    expect(Object.keys(await rowsByKey())).toEqual([await currentId()]);
  }), { numRuns: Number(process.env['SEEDS'] ?? 40) });
}, 300_000);

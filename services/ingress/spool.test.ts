import { jest } from '@jest/globals';
import { appendFile, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createLogger } from '#shared/runtime/logger.ts';
import { openSpool, type Spool } from './spool.ts';

const logger = createLogger('silent');
const ROOMY = 1 << 30;

let directory: string;
beforeEach(async () => { directory = await mkdtemp(path.join(tmpdir(), 'tekai-spool-')); });
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(directory, { recursive: true });
});

const reopened = (bytesMax = ROOMY, where = directory) => openSpool<unknown>({ directory: where, bytesMax, logger });
const files = async (ending: string) => (await readdir(directory)).filter((name) => name.endsWith(ending)).sort();

/** Takes everything, and gives it. */
async function drained(spool: Spool<unknown>): Promise<unknown[]> {
  const taken: unknown[] = [];
  await spool.drain(async (entry) => { taken.push(entry); return 'taken'; });
  return taken;
}

test('entries come out in the order in which they were acknowledged, and then the spool is empty', async () => {
  const spool = await reopened();
  expect(spool.isEmpty).toBe(true);
  for (let n = 0; n < 10; n += 1) expect(await spool.add({ n })).toBe(true);
  expect(spool.isEmpty).toBe(false);
  expect(spool.bytes).toBeGreaterThan(100);
  expect(await drained(spool)).toEqual(Array.from({ length: 10 }, (_, n) => ({ n })));
  expect([spool.isEmpty, spool.bytes, await readdir(directory)]).toEqual([true, 0, []]);
  expect(await drained(spool)).toEqual([]);
});

test('what stands in the spool is there after a restart, whatever is in it', async () => {
  const entries = ['', 'a\nb\r\n', '\u0000', 'é日本\u{1f600}', { deep: [null, { x: 1e300 }] }, 'x'.repeat(3_000_000)];
  const before = await reopened();
  for (const entry of entries) await before.add(entry);
  await before.close();
  const after = await reopened();
  expect([after.isEmpty, after.bytes]).toEqual([false, before.bytes]);
  expect(await drained(after)).toEqual(entries);
});

test('an entry is acknowledged only after it was flushed, and what arrives meanwhile shares the next flush', async () => {
  const handles = await prototypeOfHandles();
  let release = () => {};
  const flush = handles.datasync;
  let flushes = 0;
  jest.spyOn(handles, 'datasync').mockImplementation(async function (this: FileHandle) {
    flushes += 1;
    if (flushes === 1) await new Promise<void>((resolve) => { release = resolve; });
    await flush.call(this);
  });
  const spool = await reopened();
  const acknowledged: number[] = [];
  const adds = Array.from({ length: 200 }, async (_, n) => { await spool.add(n); acknowledged.push(n); });
  while (flushes === 0) await sleep(1);
  expect([acknowledged, spool.isEmpty]).toEqual([[], false]);
  release();
  await Promise.all(adds);
  expect(flushes).toBe(2);
  expect(acknowledged).toEqual(Array.from({ length: 200 }, (_, n) => n));
  expect(await drained(spool)).toEqual(acknowledged);
});

test('a flush that fails refuses its entries, and those after it stand in a segment of their own', async () => {
  const handles = await prototypeOfHandles();
  const spool = await reopened();
  await spool.add('before');
  jest.spyOn(handles, 'datasync').mockRejectedValueOnce(new Error('EIO'));
  await expect(spool.add('refused')).rejects.toThrow('EIO');
  await spool.add('after');
  expect(await files('.spool')).toHaveLength(2);
  await spool.close();
  expect(await drained(await reopened())).toEqual(['before', 'after']);
});

test('a folder that cannot be written refuses adds, and takes them once it can', async () => {
  const spool = await reopened();
  await rm(directory, { recursive: true });
  await expect(spool.add('lost')).rejects.toThrow('ENOENT');
  expect(spool.isEmpty).toBe(true);
  await mkdir(directory);
  expect(await spool.add('kept')).toBe(true);
  expect(await drained(spool)).toEqual(['kept']);
});

test.each(['1', '0badc0de {"n":', '0badc0de'])('a torn last line (%j) is cut off at start, and the next entry does not run into it', async (torn) => {
  const before = await reopened();
  await before.add('whole');
  await before.close();
  const [file = ''] = await files('.spool');
  await appendFile(path.join(directory, file), torn);
  const after = await reopened();
  expect(after.bytes).toBe(before.bytes);
  await after.add('next');
  expect(await drained(after)).toEqual(['whole', 'next']);
  expect(await readdir(directory)).toEqual([]);
});

test('wherever a byte flips, no wrong entry is given, the others are, and the bytes are kept beside', async () => {
  const before = await reopened();
  for (const entry of ['first', { n: 2 }, 'third']) await before.add(entry);
  await before.close();
  const [file = ''] = await files('.spool');
  const content = await readFile(path.join(directory, file));
  // The very last newline is told from a torn line by nothing.
  for (let at = 0; at < content.length - 1; at += 1) {
    const flipped = Buffer.from(content);
    flipped[at]! ^= 0x10;
    await writeFile(path.join(directory, file), flipped);
    const taken = await drained(await reopened());
    const damaged = [0, 1, 2].filter((n) => at >= endOf(content, n - 1) && at < endOf(content, n));
    // A newline that flips spoils both its neighbours.
    if (content[at] === 0x0a) damaged.push(damaged[0]! + 1);
    expect([at, taken]).toEqual([at, ['first', { n: 2 }, 'third'].filter((_, n) => !damaged.includes(n))]);
    const kept = await readFile(path.join(directory, `${file}.refused`));
    expect(kept.equals(flipped.subarray(endOf(content, damaged[0]! - 1), endOf(content, damaged.at(-1)!)))).toBe(true);
    await rm(path.join(directory, `${file}.refused`));
  }
});

test('what take refuses is kept beside, and the rest goes on', async () => {
  const spool = await reopened();
  for (let n = 0; n < 4; n += 1) await spool.add(n);
  await spool.drain(async (entry) => (entry === 1 ? 'refused' : 'taken'));
  expect(spool.isEmpty).toBe(true);
  const [file = ''] = await files('.refused');
  expect(await readFile(path.join(directory, file), 'utf8')).toMatch(/^[0-9a-f]{8} 1\n$/);
  // Nothing reads it again.
  expect((await reopened()).isEmpty).toBe(true);
});

test('a full spool takes nothing more, also of what comes at once, and takes again when there is room', async () => {
  const spool = await reopened(10 * 110);
  const answers = await Promise.all(Array.from({ length: 30 }, () => spool.add('x'.repeat(98))));
  expect(answers.filter(Boolean)).toHaveLength(10);
  expect(spool.bytes).toBeLessThanOrEqual(10 * 110);
  expect(await spool.add('more')).toBe(false);
  expect(await drained(spool)).toHaveLength(10);
  expect(await spool.add('more')).toBe(true);
  expect(await (await reopened(5)).add('more')).toBe(false);
});

test('a drain stops where take throws, and the next one goes on there', async () => {
  const spool = await reopened();
  for (let n = 0; n < 5; n += 1) await spool.add(n);
  const taken: unknown[] = [];
  let isAway = true;
  const take = async (entry: unknown) => {
    if (entry === 2 && isAway) throw new Error('away');
    taken.push(entry);
    return 'taken' as const;
  };
  await expect(spool.drain(take)).rejects.toThrow('away');
  expect([taken, spool.isEmpty]).toEqual([[0, 1], false]);
  await spool.add(5);
  await expect(spool.drain(take)).rejects.toThrow('away');
  expect(taken).toEqual([0, 1]);
  isAway = false;
  await spool.drain(take);
  expect([taken, spool.isEmpty]).toEqual([[0, 1, 2, 3, 4, 5], true]);
});

test('a file of which everything was taken, and that cannot go, keeps nothing behind it, and goes when it can', async () => {
  const spool = await reopened();
  await spool.add('first');
  const [name = ''] = await files('.spool');
  const file = path.join(directory, name);
  // What stands there can be removed by nobody, as on a file system that has turned read-only.
  const taking = spool.drain(async () => { await rm(file); await mkdir(file); return 'taken'; });
  await expect(taking).rejects.toMatchObject({ syscall: 'unlink' });
  expect(spool.isEmpty).toBe(true);
  expect(await spool.add('second')).toBe(true);
  expect(spool.isEmpty).toBe(false);
  await rm(file, { recursive: true });
  await writeFile(file, '');
  expect(await drained(spool)).toEqual(['second']);
  expect([spool.isEmpty, spool.bytes, await readdir(directory)]).toEqual([true, 0, []]);
});

test('what is added while a drain is under way comes after, and is drained with it', async () => {
  const spool = await reopened();
  await spool.add(0);
  const taken: unknown[] = [];
  let unawaited: Promise<unknown> | undefined;
  const take = async (entry: unknown) => {
    taken.push(entry);
    if (entry === 0) await spool.add(1);
    // Begun, and not flushed when this entry is forgotten.
    if (entry === 1) unawaited = spool.add(2);
    return 'taken' as const;
  };
  await spool.drain(take);
  await unawaited;
  await spool.drain(take);
  expect([taken, spool.isEmpty]).toEqual([[0, 1, 2], true]);
});

test('entries that arrive at the very moment the last one is taken are neither refused nor lost', async () => {
  const spool = await reopened();
  const added: number[] = [];
  const taken: unknown[] = [];
  let isOver = false;
  const draining = (async () => {
    while (!isOver || !spool.isEmpty) {
      await spool.drain(async (entry) => { taken.push(entry); return 'taken'; });
      await sleep(0);
    }
  })();
  for (let n = 0; n < 600; n += 1) {
    added.push(n);
    expect(await spool.add(n)).toBe(true);
    // Sometimes at once, sometimes after the drain has begun to remove the segment.
    for (let tick = n % 7; tick > 0; tick -= 1) await new Promise(setImmediate);
  }
  isOver = true;
  await draining;
  expect(taken).toEqual(added);
});

test('a drain waits for the flush that is under way, and what that acknowledges is not forgotten', async () => {
  const handles = await prototypeOfHandles();
  const flush = handles.datasync;
  let release: (() => void) | undefined;
  const spool = await reopened();
  await spool.add(0);
  jest.spyOn(handles, 'datasync').mockImplementation(async function (this: FileHandle) {
    await new Promise<void>((resolve) => { release = resolve; });
    await flush.call(this);
  });
  const adding = spool.add(1);
  const draining = drained(spool);
  while (release === undefined) await sleep(1);
  release();
  expect(await adding).toBe(true);
  expect(await draining).toEqual([0, 1]);
});

test('a restart in the middle of a drain repeats no more than the segment that was not finished', async () => {
  const first = await reopened();
  await first.add('a');
  await first.close();
  const second = await reopened();
  for (const entry of ['b', 'c', 'd']) await second.add(entry);
  const taken: unknown[] = [];
  await expect(second.drain(async (entry) => {
    if (entry === 'd') throw new Error('killed');
    taken.push(entry);
    return 'taken';
  })).rejects.toThrow('killed');
  await second.close();
  expect(taken).toEqual(['a', 'b', 'c']);
  expect(await drained(await reopened())).toEqual(['b', 'c', 'd']);
});

test('any mixture of adds, drains, failures and restarts gives every acknowledged entry at least once, and in order', async () => {
  type Step = { do: 'add'; count: number } | { do: 'drain'; stopAfter: number } | { do: 'reopen'; torn: string };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const), stopAfter: fc.integer({ min: 0, max: 9 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), torn: fc.constantFrom('', '1', 'deadbeef {') }) },
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
    const where = await mkdtemp(path.join(directory, 'any-'));
    let spool = await reopened(ROOMY, where);
    let pending: Promise<void>[] = [];
    const acknowledged: number[] = [];
    const taken: number[] = [];
    let next = 0;
    for (const one of steps) {
      if (one.do === 'add') {
        for (let n = 0; n < one.count; n += 1) { const entry = next++; pending.push(spool.add(entry).then((isKept) => { if (isKept) acknowledged.push(entry); })); }
      } else if (one.do === 'drain') {
        let left = one.stopAfter;
        // Adds of before go on beside it.
        await spool.drain(async (entry) => { if (left-- === 0) throw new Error('away'); taken.push(entry as number); return 'taken'; }).catch(() => undefined);
      } else {
        await Promise.all(pending);
        pending = [];
        await spool.close();
        const last = (await readdir(where)).filter((name) => name.endsWith('.spool')).sort().at(-1);
        if (last !== undefined) await appendFile(path.join(where, last), one.torn);
        spool = await reopened(ROOMY, where);
      }
    }
    await Promise.all(pending);
    taken.push(...(await drained(spool)) as number[]);
    expect(acknowledged).toEqual(Array.from({ length: next }, (_, n) => n));
    expect(taken.filter((entry, n) => taken.indexOf(entry) === n)).toEqual(acknowledged);
    expect([spool.isEmpty, spool.bytes]).toEqual([true, 0]);
    await spool.close();
  }), { numRuns: 60 });
});

/** Where the nth line of the file ends. */
function endOf(content: Buffer, nth: number): number {
  let at = 0;
  for (let n = 0; n <= nth; n += 1) at = content.indexOf(0x0a, at) + 1;
  return at;
}

/** Node does not give the class away; every handle has it. */
async function prototypeOfHandles(): Promise<FileHandle> {
  const handle = await open(directory, 'r');
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

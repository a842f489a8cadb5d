import { BEGINNING, type Position } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { positionOf } from './encode-append.ts';
import type { Batch, Recorded } from './event-log.ts';
import { followPages, type ReadPage } from './follow-pages.ts';
import { createLogTurn } from './log-turn.ts';
import { createJointPages } from './joint-pages.ts';

/** A log whose reads are counted, and answered only when the test says so. */
function openLog() {
  const streams: string[] = [];
  const turn = createLogTurn();
  const reads: { readonly prefixes: readonly string[]; answer(): void; fail(): void }[] = [];
  const state = { isHeld: false };
  const pageOf = (after: Position, prefixes: readonly string[]): Batch => ({
    facts: streams.map((stream, at) => ({ stream, position: positionOf(at + 1) }) as Recorded)
      .filter((fact) => fact.position > after && (prefixes.length === 0 || prefixes.some((prefix) => fact.stream.startsWith(prefix)))),
    position: streams.length === 0 ? after : positionOf(streams.length), isCaughtUp: true,
  });
  const readPage: ReadPage = ({ after, prefixes }) => {
    // As it stands when it is read, however late the answer comes.
    const page = pageOf(after, prefixes);
    return new Promise((resolve, reject) => {
      const read = { prefixes, answer: () => resolve(page), fail: () => reject(new Unavailable('event log', 'away')) };
      reads.push(read);
      if (!state.isHeld) read.answer();
    });
  };
  const append = (stream: string) => { streams.push(stream); turn.advance(); };
  return { append, turn, reads, state, readPage: createJointPages(readPage, turn) };
}

const settled = async () => { for (let n = 0; n < 20; n += 1) await Promise.resolve(); };

test('given subscriptions that are at the end, expect one read of what comes, and each to be given what it asked for', async () => {
  const log = openLog();
  const stopping = new AbortController();
  const given = new Map<string, string[]>();
  const following = ['', 'sync-', 'delivery-'].map(async (prefix) => {
    const seen: string[] = [];
    given.set(prefix, seen);
    for await (const { facts } of followPages({ readPage: log.readPage, turn: log.turn, sleep: async () => undefined }, { after: BEGINNING, prefixes: prefix === '' ? [] : [prefix], signal: stopping.signal })) seen.push(...facts.map(({ stream }) => stream));
  });
  await settled();
  const before = log.reads.length;
  for (const stream of ['delivery-1', 'sync-1', 'codebase-1']) {
    log.append(stream);
    await settled();
  }
  expect(Object.fromEntries(given)).toEqual({ '': ['delivery-1', 'sync-1', 'codebase-1'], 'sync-': ['sync-1'], 'delivery-': ['delivery-1'] });
  expect(log.reads.length - before).toBe(3);
  stopping.abort();
  await Promise.all(following);
});

test('given a read that began before an append, expect it to be given to nobody who was told of the append', async () => {
  const log = openLog();
  await log.readPage({ after: BEGINNING, prefixes: [] });
  log.state.isHeld = true;
  const early = log.readPage({ after: BEGINNING, prefixes: [] });
  log.append('sync-1');
  const late = log.readPage({ after: BEGINNING, prefixes: [] });
  for (const read of log.reads) read.answer();
  expect((await early).facts).toHaveLength(0);
  expect((await late).facts).toHaveLength(1);
});

test('given a read that failed for all who waited, expect the next to be read anew', async () => {
  const log = openLog();
  await log.readPage({ after: BEGINNING, prefixes: [] });
  log.state.isHeld = true;
  const both = [log.readPage({ after: BEGINNING, prefixes: [] }), log.readPage({ after: BEGINNING, prefixes: ['sync-'] })];
  for (const read of log.reads) read.fail();
  for (const one of both) await expect(one).rejects.toThrow(Unavailable);
  log.state.isHeld = false;
  expect((await log.readPage({ after: BEGINNING, prefixes: [] })).isCaughtUp).toBe(true);
});

test('given who is behind the end, expect a read of its own, of the streams that it wants', async () => {
  const log = openLog();
  log.append('sync-1');
  await log.readPage({ after: BEGINNING, prefixes: [] });
  log.append('codebase-1');
  await log.readPage({ after: BEGINNING, prefixes: ['sync-'] });
  expect(log.reads.map(({ prefixes }) => prefixes)).toEqual([[], ['sync-']]);
});

import { jest } from '@jest/globals';
import { createPostgresHeadWatch } from './postgres-head-watch.ts';
import type { LogQuery } from './postgres-log-query.ts';

const POLL_MS = 250;

beforeEach(() => { jest.useFakeTimers(); });
afterEach(() => { jest.useRealTimers(); });

/** A watch on a log of which only the head is there, and how often it was looked at. */
function watchOf(head: { now: string | Error }) {
  const looks = { count: 0 };
  const query = (async () => {
    looks.count += 1;
    if (head.now instanceof Error) throw head.now;
    return [{ head: head.now }];
  }) as LogQuery;
  return { turn: createPostgresHeadWatch(query, { pollMs: POLL_MS }), looks };
}

test('one look serves all who wait', async () => {
  const head = { now: '1' };
  const { turn, looks } = watchOf(head);
  const { signal } = new AbortController();
  const waiting = [1, 2, 3].map(() => turn.changed(turn.current(), signal));
  await jest.advanceTimersByTimeAsync(POLL_MS);
  await Promise.all(waiting);
  expect(looks.count).toBe(1);
});

test('a head that stays where it is wakes nobody, the next one does', async () => {
  const head = { now: '1' };
  const { turn, looks } = watchOf(head);
  const { signal } = new AbortController();
  const first = turn.changed(turn.current(), signal);
  await jest.advanceTimersByTimeAsync(POLL_MS);
  await first;

  let isAwake = false;
  const second = turn.changed(turn.current(), signal).then(() => { isAwake = true; });
  await jest.advanceTimersByTimeAsync(4 * POLL_MS);
  expect({ isAwake, looks: looks.count }).toEqual({ isAwake: false, looks: 5 });
  head.now = '2';
  await jest.advanceTimersByTimeAsync(POLL_MS);
  await second;
});

test('nobody looks while nobody waits, however the last wait ended', async () => {
  const { turn, looks } = watchOf({ now: '1' });
  expect(jest.getTimerCount()).toBe(0);

  const stopping = new AbortController();
  const aborted = turn.changed(turn.current(), stopping.signal);
  expect(jest.getTimerCount()).toBe(1);
  stopping.abort();
  await aborted;
  expect(jest.getTimerCount()).toBe(0);

  const woken = turn.changed(turn.current(), new AbortController().signal);
  turn.advance();
  await woken;
  expect({ timers: jest.getTimerCount(), looks: looks.count }).toEqual({ timers: 0, looks: 0 });
});

test('a look that fails wakes all, so that each meets the fault itself', async () => {
  const { turn } = watchOf({ now: new Error('away') });
  const waiting = turn.changed(turn.current(), new AbortController().signal);
  await jest.advanceTimersByTimeAsync(POLL_MS);
  await waiting;
});

test('what changed between the look and the wait is not slept through', async () => {
  const { turn } = watchOf({ now: '1' });
  const seen = turn.current();
  turn.advance();
  await turn.changed(seen, new AbortController().signal);
});

test('a head that was told wakes at once, and neither the same again nor the next look at it wakes anybody', async () => {
  const head = { now: '7' };
  const { turn } = watchOf(head);
  const { signal } = new AbortController();
  const first = turn.changed(turn.current(), signal);
  turn.reached('00000000000000000007');
  await first;

  const seen = turn.current();
  void turn.changed(seen, signal);
  turn.reached('7');
  turn.reached('6');
  await jest.advanceTimersByTimeAsync(2 * POLL_MS);
  expect(turn.current()).toBe(seen);
});

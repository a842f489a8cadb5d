import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { createNotifierBench, KEY_A, KEY_B, type NotifierBench } from './notifier-bench.fixture.ts';
import { createSubscription, type Subscription } from './subscription.ts';

type Pub = Extract<ServerFrame, { op: 'pub' }>;
const never = new AbortController().signal;

function subscribe(bench: NotifierBench, { ch = 'all', since = BEGINNING }: { ch?: string; since?: Position } = {}) {
  const frames: Pub[] = [];
  const subscription = createSubscription(bench, { ch, since, send: (frame) => frames.push(frame as Pub) });
  return { subscription, frames };
}

const idsOf = (facts: readonly { id: string }[]) => facts.map(({ id }) => id);

test('what was missed comes first, then what comes: in order, each once', async () => {
  const bench = createNotifierBench();
  for (const key of [KEY_A, KEY_B, KEY_A]) await bench.append(key);
  bench.project();
  const { subscription, frames } = subscribe(bench);
  await subscription.catchUp(never);
  subscription.take(await bench.append(KEY_B));
  expect(idsOf(frames)).toEqual(idsOf(bench.all));
  expect(frames[0]).toMatchObject({ op: 'pub', ch: 'all', key: KEY_A, type: 'hook.refused', data: { reason: 'r' } });
});

test('a channel of a codebase gets the facts of that codebase only', async () => {
  const bench = createNotifierBench();
  for (const key of [KEY_A, KEY_B, KEY_A]) await bench.append(key);
  bench.project();
  const { subscription, frames } = subscribe(bench, { ch: `codebase:${KEY_A}` });
  await subscription.catchUp(never);
  for (const key of [KEY_B, KEY_A]) subscription.take(await bench.append(key));
  expect(idsOf(frames)).toEqual(idsOf(bench.ofKey(KEY_A)));
});

test('each frame names the position told before it, the first the one subscribed from', async () => {
  const bench = createNotifierBench();
  for (let count = 0; count < 3; count += 1) await bench.append(KEY_A);
  bench.project();
  const since = bench.all[0]?.position ?? BEGINNING;
  const { subscription, frames } = subscribe(bench, { since });
  expect(subscription.position()).toBe(positionOutside(bench.epoch, since));
  await subscription.catchUp(never);
  expect(frames.map(({ previous, position }) => [previous, position])).toEqual([
    [positionOutside(bench.epoch, since), frames[0]?.position], [frames[0]?.position, subscription.position()],
  ]);
});

test('what comes while it catches up is neither lost nor told twice', async () => {
  const bench = createNotifierBench();
  await bench.append(KEY_A);
  bench.project();
  const { subscription, frames } = subscribe(bench);
  const catchingUp = subscription.catchUp(never);
  const told = bench.all[0];
  if (told !== undefined) subscription.take(told);
  subscription.take(await bench.append(KEY_A));
  await catchingUp;
  expect(idsOf(frames)).toEqual(idsOf(bench.all));
});

test('more than it may keep meanwhile is read from the index instead', async () => {
  const bench = createNotifierBench();
  await bench.append(KEY_A);
  bench.project();
  const { subscription, frames } = subscribe(bench);
  const catchingUp = subscription.catchUp(never);
  for (let count = 0; count < 1_100; count += 1) {
    const fact = await bench.append(KEY_A);
    bench.project();
    subscription.take(fact);
  }
  await catchingUp;
  subscription.take(await bench.append(KEY_A));
  expect(idsOf(frames)).toEqual(idsOf(bench.all));
});

test('a catch-up ends when the socket does', async () => {
  const bench = createNotifierBench();
  for (let count = 0; count < 600; count += 1) await bench.append(KEY_A);
  bench.project();
  const closing = new AbortController();
  const { subscription } = subscribe(bench);
  const catchingUp = subscription.catchUp(closing.signal);
  closing.abort();
  await catchingUp;
  expect(bench.pagesRead).toBeLessThan(3);
});

type Step = { kind: 'append'; key: string; count: number } | { kind: 'project' | 'tell' | 'drop' | 'turn' };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), key: fc.constantFrom(KEY_A, KEY_B), count: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 5 }) }, { weight: 1, arbitrary: fc.constant(230) }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('project' as const, 'tell' as const, 'turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const) }) },
);

test('whenever the link drops, and whatever comes meanwhile, a client that resumes gets the log: every position once, no hole in the chain', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom('all', `codebase:${KEY_A}`), async (steps, ch) => {
    await getsTheLog(steps, ch);
  }), { numRuns: 150 });
});

async function getsTheLog(steps: readonly Step[], ch: string): Promise<void> {
  const bench = createNotifierBench();
  const received: Pub[] = [];
  let told = 0;
  let link: { subscription: Subscription; catchingUp: Promise<void>; isUp: boolean };
  const connect = () => {
    const since = received.at(-1)?.position;
    const inside = since === undefined ? undefined : positionInside(bench.epoch, since);
    const here = { isUp: true };
    const subscription = createSubscription(bench, { ch, since: inside?.kind === 'ok' ? inside.position : BEGINNING, send: (frame) => { if (here.isUp) received.push(frame as Pub); } });
    link = Object.assign(here, { subscription, catchingUp: subscription.catchUp(never) });
  };
  // As the tail does: in order, and only what can be read.
  const tell = () => {
    for (; told < bench.all.length && (bench.all[told]?.position ?? '') <= bench.visible; told += 1) link.subscription.take(bench.all[told] as never);
  };
  connect();
  for (const one of steps) {
    switch (one.kind) {
      case 'append': for (let count = 0; count < one.count; count += 1) await bench.append(one.key); break;
      case 'project': bench.project(); break;
      case 'tell': tell(); break;
      case 'turn': await nextTurn(); break;
      case 'drop': link!.isUp = false; connect(); break;
      default: one satisfies never;
    }
  }
  bench.project();
  tell();
  await link!.catchingUp;
  expect(idsOf(received)).toEqual(idsOf(bench.ofKey(ch === 'all' ? undefined : KEY_A)));
  expect(received.map(({ previous }) => previous)).toEqual([positionOutside(bench.epoch, BEGINNING), ...received.slice(0, -1).map(({ position }) => position)].slice(0, received.length));
}

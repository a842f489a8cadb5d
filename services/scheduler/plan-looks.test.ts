import { boundOf, dueLooks, intervalMs, type Looked } from './plan-looks.ts';
import { createBudget } from './budget.ts';

const PACE = { activeMs: 60_000, idleMs: 900_000 };
const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const looked = (id: string, more: Partial<Looked> = {}): Looked => ({ id, activeAt: NOW, lookedAt: NOW, nextAt: null, confirmAt: null, requests: 1, ...more });
const due = (...watched: Looked[]) => dueLooks(watched, { now: NOW, pace: PACE }).map(({ id }) => id);

test.each<[string, number, number]>([
  ['a moment ago', 0, 48_000], ['an hour ago', HOUR, 48_000], ['five hours ago', 5 * HOUR, 240_000], ['fifteen hours ago', 15 * HOUR, 720_000], ['last year', 9_000 * HOUR, 720_000],
])('what had a hint %s is looked at with a fifth of the allowed time to spare', (_when, ago, expected) => {
  expect(intervalMs(NOW - ago, NOW, PACE)).toBe(expected);
});

test('an idle pace that is quicker than the active one is not taken', () => { expect(intervalMs(0, NOW, { activeMs: 60_000, idleMs: 1_000 })).toBe(48_000); });

test('second looks go first, then who is latest in its own measure, then the newest active', () => {
  expect(due(
    looked('just-looked', { lookedAt: NOW - 47_999 }),
    looked('idle-late', { activeAt: 0, lookedAt: NOW - 1_440_000 }), // twice its interval
    looked('active-due', { lookedAt: NOW - 48_000, activeAt: NOW - 5 }),
    looked('active-due-newer', { lookedAt: NOW - 48_000 }),
    looked('active-later', { lookedAt: NOW - 100_000 }),
    looked('confirm', { confirmAt: NOW - 1 }), looked('confirm-not-yet', { confirmAt: NOW + 1, lookedAt: 0 }),
  )).toEqual(['confirm', 'active-later', 'idle-late', 'active-due-newer', 'active-due']);
});

test('what failed is not asked before its time, and then at once', () => {
  expect(due(looked('later', { nextAt: NOW + 1, lookedAt: 0, confirmAt: 0 }), looked('now', { nextAt: NOW }))).toEqual(['now']);
});

test('a clock that is set back an hour holds no look up: what lies far ahead is due', () => {
  expect(due(
    looked('looked', { lookedAt: NOW + HOUR }), looked('failed', { nextAt: NOW + HOUR }), looked('confirm', { confirmAt: NOW + HOUR, lookedAt: NOW + HOUR }),
  ).sort()).toEqual(['confirm', 'failed', 'looked']);
});

describe('a budget', () => {
  test('gives a burst of ten seconds, then its rate, and takes debts', () => {
    const budget = createBudget(60, 0);
    expect([...Array(12).keys()].filter(() => budget.take(1, 0))).toHaveLength(10);
    expect(budget.take(1, 999)).toBe(false);
    expect(budget.take(5, 1_000)).toBe(true); // Four in debt: four seconds until there is one again.
    expect([budget.take(1, 4_900), budget.take(1, 6_000)]).toEqual([false, true]);
  });

  test('held, it gives nothing until then; a shorter pause does not shorten it', () => {
    const budget = createBudget(60, 0);
    budget.hold(0, 5_000, '429');
    budget.hold(0, 1_000, 'later');
    expect([budget.take(1, 4_999), budget.held?.reason, budget.take(1, 5_000), budget.held]).toEqual([false, '429', true, undefined]);
  });

  test('a clock that is set back an hour holds nothing up: what was spent comes in again, and a pause ends', () => {
    const budget = createBudget(60, HOUR);
    for (let n = 0; n < 10; n += 1) budget.take(1, HOUR);
    budget.hold(HOUR, 5_000, '429');
    expect(budget.take(1, 0)).toBe(false); // Nothing is left yet, and nobody knows how long it was.
    expect([budget.held, budget.take(1, 2_000)]).toEqual([undefined, true]);
  });
});

/** 1,000 codebases for 75 minutes, a tick in five seconds, each look done at once: how old a last look ever gets in the last 35. */
const [SETTLED_MS, LASTS_MS] = [40 * 60_000, 75 * 60_000];
function simulate({ active, requestsPerMinute }: { active: number; requestsPerMinute: number }) {
  const hour = 1_000 * HOUR;
  const all = Array.from({ length: 1_000 }, (_, n) => ({ ...looked(`c${n}`, { activeAt: hour - 100 * HOUR, lookedAt: hour - ((n * 7_919) % 900_000) }) }));
  const budget = createBudget(requestsPerMinute, hour);
  const oldest = { active: 0, idle: 0 };
  let requests = 0;
  for (let now = hour; now < hour + LASTS_MS; now += 5_000) {
    // Somebody pushes to the active ones all the time.
    for (const one of all.slice(0, active)) one.activeAt = now;
    if (now > hour + SETTLED_MS) all.forEach((one, n) => { const kind = n < active ? 'active' : 'idle'; oldest[kind] = Math.max(oldest[kind], now - one.lookedAt); });
    for (const one of dueLooks(all, { now, pace: PACE })) {
      if (!budget.take(one.requests, now)) break;
      one.lookedAt = now;
      requests += 1;
    }
  }
  const bound = boundOf(all, { now: hour + LASTS_MS, pace: PACE, requestsPerMinute });
  return { oldest, bound, perMinute: requests / (LASTS_MS / 60_000) };
}

test.each([
  { active: 20, requestsPerMinute: 200, isEnough: true },
  { active: 20, requestsPerMinute: 60, isEnough: false },
  { active: 200, requestsPerMinute: 200, isEnough: false },
])('1,000 codebases, $active of them active, $requestsPerMinute requests a minute: nobody waits longer than the bound that is told, and the budget is kept', ({ isEnough, ...given }) => {
  const { oldest, bound, perMinute } = simulate(given);
  expect(bound.activeMs === PACE.activeMs).toBe(isEnough);
  expect(oldest.active).toBeLessThanOrEqual(bound.activeMs);
  expect(oldest.idle).toBeLessThanOrEqual(bound.idleMs);
  expect(perMinute).toBeLessThanOrEqual(given.requestsPerMinute * 1.01);
  // The bound is no more than is needed: what was seen comes near to it.
  if (!isEnough) expect(Math.max(oldest.active / bound.activeMs, oldest.idle / bound.idleMs)).toBeGreaterThan(0.7);
  if (process.env['TEKAI_TEST_FIGURES'] !== undefined) process.stdout.write(`${JSON.stringify({ ...given, activeBoundS: bound.activeMs / 1_000, idleBoundS: bound.idleMs / 1_000, oldest, wanted: bound.wantedPerMinute, perMinute })}\n`);
});

import fc from 'fast-check';
import { createLiveWorld, judge, type Step } from './live-world.fixture.ts';

/** Some hundreds in the normal run; `SEEDS=10000` for the long one (docs/development.md). */
const SEEDS = Number(process.env['SEEDS'] ?? 300);
const MINUTES_MAX = 30;

const codebase = fc.nat(2);
const client = fc.nat(6);
const few = fc.integer({ min: 1, max: 4 });
const count = fc.oneof({ weight: 9, arbitrary: few }, { weight: 1, arbitrary: fc.integer({ min: 20, max: 60 }) });
const step = (isOtherEpoch: fc.Arbitrary<boolean>): fc.Arbitrary<Step> => fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), codebase, count }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('member' as const), codebase, isMember: fc.boolean(), isAtOnce: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('right' as const), what: fc.nat(3), may: fc.boolean(), isAtOnce: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('project' as const), count }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('turn' as const), count: few }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('connect' as const, 'drop' as const), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('stall' as const, 'read' as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), isOrderly: fc.boolean(), isOtherEpoch }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
);

const world = (hasTrims: boolean, hasEpochs: boolean) => fc.record({
  steps: fc.array(step(hasEpochs ? fc.boolean() : fc.constant(false)), { minLength: 5, maxLength: 45 }),
  catchUpFacts: hasTrims ? fc.constantFrom(3, 10, 25) : fc.constant(1_000_000),
  recentMax: fc.constantFrom(1, 5, 20, 1_000),
  backlogBytes: fc.constantFrom(400, 4_000, 1_000_000),
  pauses: fc.array(fc.nat(5), { minLength: 1, maxLength: 7 }),
});

test.each([
  ['nothing is ever lost', false, false],
  ['only what is beyond the cap is lost', true, false],
  ['only another log is a reason to lose something', false, true],
  ['the cap and another log are the only reasons', true, true],
])('whatever happens to the links, the notifier, the memberships and the rights, what clients of both protocols get is the log: %s', async (_what, hasTrims, hasEpochs) => {
  await fc.assert(fc.asyncProperty(world(hasTrims, hasEpochs), async ({ steps, ...options }) => {
    const { bench, tolds, play, settle, end } = createLiveWorld(options);
    await settle();
    for (const one of steps) await play(one);
    await settle();
    await end();
    const faults = tolds.flatMap((told) => judge(bench, told));
    if (!hasTrims && !hasEpochs) for (const told of tolds) if (told.notRecovered > 0) faults.push(`${told.name}: not recovered, ${told.notRecovered} times`);
    expect(faults).toEqual([]);
  }), { numRuns: Math.ceil(SEEDS / 4) });
}, MINUTES_MAX * 60_000);

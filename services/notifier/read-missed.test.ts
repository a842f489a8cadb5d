import { setImmediate as nextTurn } from 'node:timers/promises';
import { BEGINNING } from '#schemas/brand.ts';
import { createFanOut } from './fan-out.ts';
import { ANN, createNotifierBench, KEY_A, KEY_B, PROJECT } from './notifier-bench.fixture.ts';
import { readMissed } from './read-missed.ts';

test('a page is read with the rights that the tables show when it is: what somebody was let read since is not passed over, though nothing live has told of it', async () => {
  const bench = createNotifierBench();
  await bench.setPerson(true);
  for (const codebase of [KEY_A, KEY_B]) await bench.setMember(codebase, true);
  bench.project();
  // Nobody tells it of facts: rights are looked at when somebody asks.
  const fanOut = createFanOut({ ...bench, rightsOf: (asked) => bench.rightsOf(asked), yieldTurn: async () => { await nextTurn(); } }, { from: bench.visible });
  const { live } = bench.startNotifier();
  const channels = [`project:${PROJECT}`];
  fanOut.members.hold(PROJECT);
  const hearing = fanOut.rights.hold({ user: ANN.actor.id, channels });
  await fanOut.rights.look();
  expect([hearing.refused(), hearing.mayHearOf(KEY_A), hearing.mayHearOf(KEY_B)]).toEqual([undefined, false, false]);

  const fact = await bench.append(KEY_A);
  await bench.append(KEY_B);
  await bench.setReads(KEY_A, true);
  bench.project();
  const page = await readMissed({ ...live, fanOut }, { channels, hearing, after: BEGINNING });
  expect(page.upTo).toBe(bench.visible);
  const keys = page.facts.map(({ key }) => key);
  expect([keys.includes(KEY_A), keys.includes(KEY_B)]).toEqual([true, false]);
  expect(page.facts.map(({ position }) => position)).toContain(fact.position);
});

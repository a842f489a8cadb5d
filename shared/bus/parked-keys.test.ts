import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createGate } from './bus-bench.contract.ts';
import type { GroupStore } from './group-store.ts';
import { createHeldGroup } from './held-group.ts';
import { createMemoryGroupStore } from './memory-group-store.ts';
import { createParkedKeys } from './parked-keys.ts';

const fact = (place: number) => ({ key: 'a', position: String(place) as Position, type: 'x' }) as unknown as Recorded;
const idsOf = (facts: readonly Recorded[]) => facts.map(({ position }) => position);

/** A key with one parked fact, over a store whose next call of that name answers only when the gate opens. */
async function parkedKey() {
  const store = createMemoryGroupStore();
  const lease = (await store.takeLease('g', 60_000))!;
  await store.park({ lease, group: 'g' }, 'a', [{ fact: fact(1), reason: 'cannot be' }], 'then');
  const gate = createGate();
  let slow: keyof GroupStore | undefined;
  const slowed = new Proxy(store, {
    get: (target, name: keyof GroupStore) => async (...args: unknown[]) => {
      const call = () => (target[name] as (...all: unknown[]) => Promise<unknown>)(...args);
      if (name !== slow) return call();
      slow = undefined;
      // A write has its effect late, a read is answered late.
      if (name === 'park') await gate.opened;
      const answer = await call();
      await gate.opened;
      return answer;
    },
  });
  const given: Recorded[] = [];
  const parked = createParkedKeys({ store: createHeldGroup(slowed, { lease, lose: () => undefined }), has: () => true, now: () => new Date(0), untilStored: async (step) => { await step(); return true; } });
  await parked.load();
  return { store, parked, gate, given, give: (one: Recorded) => void given.push(one), slow: (name: keyof GroupStore) => { slow = name; } };
}

/** Whatever can go on without the gate has gone on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
}

test('a fact that is being put behind its key while somebody redrives it goes with the key', async () => {
  const { store, parked, gate, given, give, slow } = await parkedKey();
  slow('park');
  const behind = parked.parkBehind(fact(2));
  await store.redrive('g', 'a');
  const taking = parked.takeRedriven(give);
  await settled();
  gate.open();
  expect(await behind).toBe(true);
  await taking;
  expect(idsOf(given)).toEqual(['1', '2']);
  expect(await store.parked({})).toEqual([]);
});

test('a fact that comes when its key was redriven already is the caller\'s', async () => {
  const { store, parked, give } = await parkedKey();
  await store.redrive('g', 'a');
  const taking = parked.takeRedriven(give);
  expect(await parked.parkBehind(fact(2))).toBe(false);
  await taking;
});

test('a key that parks again while somebody looks for redriven ones is not worked on from what was read before', async () => {
  const { store, parked, gate, given, give, slow } = await parkedKey();
  await store.redrive('g', 'a');
  await parked.takeRedriven(give);
  slow('redriven');
  const taking = parked.takeRedriven(give);
  const parking = parked.park('a', () => [{ fact: fact(1), reason: 'cannot be, again' }]);
  await settled();
  gate.open();
  await Promise.all([taking, parking]);
  expect(idsOf(given)).toEqual(['1']);
  expect(parked.has('a')).toBe(true);
});

test('when nothing was kept because we are to stop, the key is still the caller\'s to keep', async () => {
  const store = createMemoryGroupStore();
  const lease = (await store.takeLease('g', 60_000))!;
  const parked = createParkedKeys({ store: createHeldGroup(store, { lease, lose: () => undefined }), has: () => true, now: () => new Date(0), untilStored: async () => false });
  expect(await parked.park('a', () => [{ fact: fact(1), reason: 'x' }])).toBe(false);
  expect(await parked.parkBehind(fact(2))).toBe(false);
});

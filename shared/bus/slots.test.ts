import { createSlots } from './slots.ts';

test('there are as many as were asked for, and one that is given back is free again', () => {
  const slots = createSlots(2);
  slots.take();
  expect(slots.areFree()).toBe(true);
  slots.take();
  expect(slots.areFree()).toBe(false);
  slots.give();
  expect(slots.areFree()).toBe(true);
});

/** A share that has always something to do, and what it was given. */
function greedy(slots: ReturnType<typeof createSlots>, name: string, given: string[]) {
  return () => { if (slots.areFree()) { slots.take(); given.push(name); } };
}

test('shares that always have work are given places in turn, whoever gave one back', () => {
  const slots = createSlots(1);
  const given: string[] = [];
  for (const name of ['a', 'b', 'c']) slots.join(greedy(slots, name, given));
  slots.take();
  for (let turn = 0; turn < 9; turn += 1) slots.give();
  expect(given).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
});

test('a place that one share has no use for goes to the next, and to nobody who has left', () => {
  const slots = createSlots(1);
  const given: string[] = [];
  slots.join(() => undefined);
  const leave = slots.join(greedy(slots, 'gone', given));
  slots.join(greedy(slots, 'here', given));
  slots.take();
  leave();
  slots.give();
  expect(given).toEqual(['here']);
  expect(slots.areFree()).toBe(false);
});

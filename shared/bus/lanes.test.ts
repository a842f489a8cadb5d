import fc from 'fast-check';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createLanes, type Entry, type Lanes } from './lanes.ts';

let sequence = 0;
const positionOf = (place: number) => String(place).padStart(6, '0') as Position;
beforeEach(() => { sequence = 0; });

/** The next fact of the log, of this key. */
function entry(key: string, { isRedriven = false } = {}): Entry {
  const before = sequence === 0 ? BEGINNING : positionOf(sequence);
  sequence += 1;
  const recorded = { key, position: positionOf(sequence), id: `${key}${sequence}` } as unknown as Recorded;
  return { recorded, fact: undefined, unreadable: undefined, before, isRedriven, isAside: false, firstHandledAt: undefined, failures: 0, waits: 0 };
}

function added(lanes: Lanes, ...keys: string[]): Entry[] {
  return keys.map((key) => {
    const one = entry(key);
    lanes.add(one);
    return one;
  });
}

const idOf = (one: Entry | undefined) => one?.recorded.id;
const finish = (lanes: Lanes, one: Entry) => { lanes.finish(one); lanes.release(one.recorded.key); };

test('a key is taken once, until it is released', () => {
  const lanes = createLanes();
  const [first, second] = added(lanes, 'a', 'a') as [Entry, Entry];
  expect(lanes.take()).toBe(first);
  expect(lanes.take()).toBeUndefined();
  finish(lanes, first);
  expect(lanes.take()).toBe(second);
});

test('a key that is released with its entry unfinished gives the same entry again', () => {
  const lanes = createLanes();
  const [first] = added(lanes, 'a', 'a') as [Entry, Entry];
  lanes.take();
  lanes.release('a');
  expect(lanes.take()).toBe(first);
});

test('keys take turns: whoever was served goes behind the others, however much is waiting', () => {
  const lanes = createLanes();
  added(lanes, 'a', 'a', 'a', 'b', 'c');
  const served = Array.from({ length: 5 }, () => {
    const one = lanes.take() as Entry;
    finish(lanes, one);
    return idOf(one);
  });
  expect(served).toEqual(['a1', 'b4', 'c5', 'a2', 'a3']);
});

test('an entry that is set aside is passed, and is next again when it is back', () => {
  const lanes = createLanes();
  const [first, second, third] = added(lanes, 'a', 'a', 'a') as [Entry, Entry, Entry];
  lanes.take();
  lanes.setAside(first, true);
  lanes.release('a');
  expect(lanes.take()).toBe(second);
  lanes.setAside(first, false);
  expect(lanes.take()).toBeUndefined();
  finish(lanes, second);
  expect(lanes.take()).toBe(first);
  finish(lanes, first);
  expect(lanes.take()).toBe(third);
});

test('a key with nothing but entries that are set aside is not ready', () => {
  const lanes = createLanes();
  const [only] = added(lanes, 'a') as [Entry];
  lanes.take();
  lanes.setAside(only, true);
  lanes.release('a');
  expect(lanes.take()).toBeUndefined();
  lanes.setAside(only, false);
  expect(lanes.take()).toBe(only);
});

test('behind an entry are the later ones of its key that are not set aside', () => {
  const lanes = createLanes();
  const [first, , , fourth] = added(lanes, 'a', 'b', 'a', 'a') as [Entry, Entry, Entry, Entry];
  lanes.setAside(fourth, true);
  expect(lanes.behind(first).map(idOf)).toEqual(['a3']);
  expect(lanes.all('a').map(idOf)).toEqual(['a1', 'a3', 'a4']);
  expect(lanes.all('nobody')).toEqual([]);
});

describe('the checkpoint', () => {
  test('is not known until something was given', () => {
    expect(createLanes().checkpoint()).toBeUndefined();
  });

  test('is what was given when nothing is unfinished', () => {
    const lanes = createLanes();
    lanes.gaveUpTo(positionOf(7));
    expect(lanes.checkpoint()).toBe(positionOf(7));
  });

  test('stands before the oldest unfinished entry, whatever later ones do', () => {
    const lanes = createLanes();
    const [, second, third] = added(lanes, 'a', 'b', 'c') as [Entry, Entry, Entry];
    lanes.gaveUpTo(positionOf(3));
    finish(lanes, second);
    finish(lanes, third);
    expect(lanes.checkpoint()).toBe(BEGINNING);
  });

  test('does not wait for redriven entries: those are kept elsewhere', () => {
    const lanes = createLanes();
    lanes.add(entry('a', { isRedriven: true }));
    lanes.gaveUpTo(positionOf(9));
    expect(lanes.checkpoint()).toBe(positionOf(9));
    expect(lanes.unfinishedCount).toBe(0);
  });

  test('does not go back when all that was added is finished in the middle of a batch', () => {
    const lanes = createLanes();
    const [first, second] = added(lanes, 'a', 'b') as [Entry, Entry];
    finish(lanes, first);
    const before = lanes.checkpoint() ?? '';
    finish(lanes, second);
    expect((lanes.checkpoint() ?? '') >= before).toBe(true);
  });
});

test('a key that was worked through leaves nothing behind', () => {
  const lanes = createLanes();
  for (let round = 0; round < 3; round += 1) {
    const [one] = added(lanes, 'a') as [Entry];
    expect(lanes.take()).toBe(one);
    finish(lanes, one);
    expect(lanes.all('a')).toEqual([]);
    expect(lanes.take()).toBeUndefined();
  }
});

type Step = { kind: 'add'; key: string } | { kind: 'take' | 'give' } | { kind: 'finish' | 'release' | 'aside' | 'back'; at: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), key: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constantFrom('take' as const, 'give' as const) }),
  fc.record({ kind: fc.constantFrom('finish' as const, 'release' as const, 'aside' as const, 'back' as const), at: fc.nat(10) }),
);

test('whatever is done, a key is in hand once, its order is kept but for what is set aside, and the checkpoint passes nothing and never goes back', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    sequence = 0;
    const lanes = createLanes();
    const open: Entry[] = [];
    const inHand: Entry[] = [];
    let checkpoint = '';
    for (const one of steps) {
      takeStep(lanes, one, { open, inHand });
      const now = lanes.checkpoint() ?? '';
      expect(now >= checkpoint).toBe(true);
      expect(open.filter(({ recorded }) => recorded.position <= now)).toEqual([]);
      expect(new Set(inHand.map(({ recorded }) => recorded.key)).size).toBe(inHand.length);
      checkpoint = now;
    }
  }), { numRuns: 500 });
});

function takeStep(lanes: Lanes, one: Step, { open, inHand }: { open: Entry[]; inHand: Entry[] }): void {
  const chosen = 'at' in one ? inHand[one.at % Math.max(1, inHand.length)] : undefined;
  const letGo = (entry: Entry) => { inHand.splice(inHand.indexOf(entry), 1); lanes.release(entry.recorded.key); };
  switch (one.kind) {
    case 'add': open.push(...added(lanes, one.key)); break;
    case 'give': lanes.gaveUpTo(sequence === 0 ? BEGINNING : positionOf(sequence)); break;
    case 'take': {
      const taken = lanes.take();
      if (taken === undefined) break;
      const ofKey = open.filter((entry) => entry.recorded.key === taken.recorded.key && !entry.isAside);
      expect(taken).toBe(ofKey[0]);
      inHand.push(taken);
      break;
    }
    case 'finish':
      if (chosen === undefined) break;
      open.splice(open.indexOf(chosen), 1);
      lanes.finish(chosen);
      letGo(chosen);
      break;
    case 'release': if (chosen !== undefined) letGo(chosen); break;
    case 'aside':
      if (chosen === undefined) break;
      lanes.setAside(chosen, true);
      letGo(chosen);
      break;
    case 'back': for (const entry of open) if (entry.isAside) lanes.setAside(entry, false); break;
    default: one satisfies never;
  }
}

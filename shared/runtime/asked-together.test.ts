import { setImmediate as turn } from 'node:timers/promises';
import { askedTogether } from './asked-together.ts';

/** Loads that end when the test says so. */
function world({ keysMax = 10 } = {}) {
  const loads: { keys: readonly string[]; end(): void; fail(): void }[] = [];
  let state = 0;
  const ask = askedTogether<string, string>((keys) => {
    const seen = state;
    return new Promise((resolve, reject) => {
      loads.push({ keys, end: () => resolve(new Map(keys.filter((key) => key !== 'none').map((key) => [key, `${key}${seen}`]))), fail: () => reject(new Error('away')) });
    });
  }, { keysMax });
  return { loads, ask, change: () => { state += 1; } };
}

test('who asks in one turn is answered by one load, and each key is loaded once', async () => {
  const { loads, ask } = world();
  const answers = Promise.all([ask('a'), ask('b'), ask('a'), ask('none')]);
  await turn();
  expect(loads.map(({ keys }) => keys)).toEqual([['a', 'b', 'none']]);
  loads[0]!.end();
  expect(await answers).toEqual(['a0', 'b0', 'a0', undefined]);
});

test('nobody is given what was loaded before they asked', async () => {
  const { loads, ask, change } = world();
  const before = ask('a');
  await turn();
  change();
  const after = ask('a');
  await turn();
  expect(loads).toHaveLength(2);
  const later = [ask('a'), ask('b')];
  await turn();
  // Two are under way: these wait for the next.
  expect(loads).toHaveLength(2);
  change();
  loads[0]!.end();
  expect(await before).toBe('a0');
  await turn();
  expect(loads[2]?.keys).toEqual(['a', 'b']);
  loads[2]!.end();
  loads[1]!.end();
  expect([await after, ...await Promise.all(later)]).toEqual(['a1', 'a2', 'b2']);
});

test('a load that fails fails for its askers alone; more keys than one load takes go into the next', async () => {
  const { loads, ask } = world({ keysMax: 2 });
  const answers = ['a', 'b', 'c'].map((key) => ask(key));
  await turn();
  // The next load is of the next turn.
  await turn();
  expect(loads.map(({ keys }) => keys)).toEqual([['a', 'b'], ['c']]);
  loads[0]!.fail();
  loads[1]!.end();
  expect(await Promise.allSettled(answers)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }, { value: 'c0' }]);
});

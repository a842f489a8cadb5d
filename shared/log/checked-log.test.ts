import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING } from '#schemas/brand.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createCheckedLog } from './checked-log.ts';
import { eventLogContract } from './event-log.contract.ts';
import { newFacts, newFamily } from './event-log-facts.contract.ts';
import { createMemoryEventLog } from './memory-event-log.ts';

const sleep = (ms: number, signal: AbortSignal) => delay(Math.min(ms, 1), undefined, { signal }).catch(() => undefined);

eventLogContract('a checked log', async () => createCheckedLog(createMemoryEventLog(), { sleep, check: () => Promise.resolve() }));

test('nothing comes to a log before it was found to be the right one, and then all does; it is asked until it answers', async () => {
  const log = createMemoryEventLog();
  let asked = 0;
  const checked = createCheckedLog(log, { sleep, check: async () => { asked += 1; if (asked < 4) throw new Unavailable('event log', 'away'); } });
  const family = newFamily();
  await expect(checked.append(family.of('a'), 'noStream', newFacts(1))).rejects.toThrow(Unavailable);
  expect(await log.head()).toBe(BEGINNING);
  for await (const { isCaughtUp } of checked.subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.timeout(60_000) })) if (isCaughtUp) break;
  expect(asked).toBe(4);
  await checked.append(family.of('a'), 'noStream', newFacts(1));
  expect([asked, await checked.head()]).toEqual([4, await log.head()]);
});

test('a wrong log is away to whoever uses it, and refused to whoever asks whether it is right', async () => {
  const log = createMemoryEventLog();
  const checked = createCheckedLog(log, { sleep, check: () => Promise.reject(new StartRefused('another')) });
  const family = newFamily();
  for (const used of [() => checked.append(family.of('a'), 'noStream', newFacts(1)), () => checked.readStream(family.of('a'), { limit: 1 }), () => checked.head(), () => checked.epoch()]) await expect(used()).rejects.toThrow(Unavailable);
  await expect(checked.check()).rejects.toThrow(StartRefused);
  expect(await log.head()).toBe(BEGINNING);
});

import { busContract } from './bus.contract.ts';
import { append, createLogBusBench, done, startWorker, until } from './bus-bench.contract.ts';
import { busProperties } from './bus-properties.contract.ts';
import { createMemoryGroupStore } from './memory-group-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

busContract('the log bus with its groups in memory', async () => createLogBusBench(createMemoryGroupStore()));
busProperties('the log bus with its groups in memory', async () => createLogBusBench(createMemoryGroupStore(), { sleepMsMax: 1 }), { runs: 60 });

test('waits for what is away grow to half a minute and no further; what was asked to be waited is waited', async () => {
  const bench = createLogBusBench(createMemoryGroupStore());
  await append(bench.log, 'a1');
  const worker = startWorker(bench.open().bus, (_label, times) => {
    if (times <= 8) throw new Unavailable('gitlab', 'away');
    if (times === 9) throw new Unavailable('gitlab', 'slow down', { retryAfterMs: 77_000 });
    return times === 10 ? { kind: 'retry', afterMs: 88_000, reason: 'x' } : done;
  });
  await until('it is done', () => worker.completed.length === 1);
  await worker.stop();
  // 250 and 1,000 are the rhythm of its own housekeeping.
  expect(bench.slept.filter((ms) => ms !== 250 && ms !== 1_000)).toEqual([100, 500, 2_000, 5_000, 15_000, 30_000, 30_000, 30_000, 77_000, 88_000]);
});

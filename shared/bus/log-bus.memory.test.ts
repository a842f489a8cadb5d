import { busContract } from './bus.contract.ts';
import { append, createLogBusBench, done, startWorker, until, type Shared } from './bus-bench.contract.ts';
import { leaseContract } from './bus-leases.contract.ts';
import { busProperties } from './bus-properties.contract.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';
import { createMemoryGroups } from './memory-group-store.ts';
import { progressChannelContract } from './progress-channel.contract.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

function shared(): Shared {
  let passedMs = 0;
  const groups = createMemoryGroups(() => performance.now() + passedMs);
  return { open: groups.open, runOut: async () => { passedMs += 3_600_000; } };
}

leaseContract('groups in memory', shared);
const channel = createLocalProgressChannel();
progressChannelContract('memory', () => channel);
busContract('the log bus with its groups in memory', async () => createLogBusBench(shared()));
busProperties('the log bus with its groups in memory', async () => createLogBusBench(shared(), { sleepMsMax: 1 }), { runs: 60 });

test('waits for what is away grow to half a minute and no further; what was asked to be waited is waited', async () => {
  const bench = createLogBusBench(shared());
  await append(bench.log, 'a1');
  const worker = startWorker(bench.open().bus, (_label, times) => {
    if (times <= 8) throw new Unavailable('gitlab', 'away');
    if (times === 9) throw new Unavailable('gitlab', 'slow down', { retryAfterMs: 77_000 });
    return times === 10 ? { kind: 'retry', afterMs: 88_000, reason: 'x' } : done;
  });
  await until('it is done', () => worker.completed.length === 1);
  await worker.stop();
  // 250, 1,000 and 2,500 are the rhythm of its own housekeeping.
  expect(bench.slept.filter((ms) => ms !== 250 && ms !== 1_000 && ms !== 2_500)).toEqual([100, 500, 2_000, 5_000, 15_000, 30_000, 30_000, 30_000, 77_000, 88_000]);
});

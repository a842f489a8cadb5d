import fc from 'fast-check';
import { createMemoryFactTopic } from '#shared/bus/memory-fact-topic.ts';
import { keptOf, logOf, runAlone, runRelays, wantedOf, type RelayScript } from './relays.fixture.ts';

/** Seconds in the normal run; `SEEDS=10000` for the long one. */
const SEEDS = Number(process.env['SEEDS'] ?? 100);

const script = fc.record<RelayScript>({
  killedAfter: fc.oneof(fc.nat(6), fc.constant(1_000)),
  pieces: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
  checkpointEveryMs: fc.constantFrom(0, 1_000_000),
  doubled: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
});

/** What fences a stopped relay that goes on: nothing need. */
test('however many relays write at once, die, or are late, what is above all before it in its partition is the log', async () => {
  let repeated = 0;
  await fc.assert(fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 60 }), fc.array(script, { minLength: 1, maxLength: 4 }), async (scheduler, count, scripts) => {
    const log = await logOf(count);
    const topic = createMemoryFactTopic();
    await runRelays(scheduler, { log, topic, scripts });
    const wanted = await wantedOf(log);
    // Of those who are all dead something is left to do; never anything wrong.
    for (const [partition, kept] of keptOf(topic).entries()) expect(kept).toEqual(wanted[partition]!.slice(0, kept.length));
    await runAlone(log, topic);
    expect(keptOf(topic)).toEqual(wanted);
    repeated += topic.records.flat().length - count;
  }), { numRuns: SEEDS });
  // Else nobody was in anybody's way, and nothing was shown.
  expect(repeated).toBeGreaterThan(0);
}, 600_000);

test('one relay after the other, each killed behind a write that arrived, writes nothing twice', async () => {
  await fc.assert(fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 60 }), fc.array(script, { minLength: 1, maxLength: 4 }), async (scheduler, count, scripts) => {
    const log = await logOf(count);
    const topic = createMemoryFactTopic();
    for (const one of scripts) await runRelays(scheduler, { log, topic, scripts: [{ ...one, doubled: [false] }] });
    await runAlone(log, topic);
    expect(topic.records).toEqual(await wantedOf(log));
  }), { numRuns: Math.ceil(SEEDS / 3) });
}, 600_000);

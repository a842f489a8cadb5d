import fc from 'fast-check';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Bus, Outcome } from './bus.ts';
import type { Lease } from './group-store.ts';
import { append, done, keyOf, startWorker, until, type LogBusBench, type OpenBus, type Worker } from './bus-bench.contract.ts';

/*
 * Random facts, whatever becomes of them, in a process that dies at any moment and is started again: nothing is lost, each
 * key's facts are first completed in the order of the log, and no checkpoint passes what is neither done nor kept.
 */

type Trouble = 'retry' | 'hold' | 'throw' | 'away' | 'park' | 'crash before' | 'crash after';

interface Plan {
  /** By key, what happens to each fact before it is done. */
  readonly facts: readonly { readonly key: string; readonly troubles: readonly Trouble[] }[];
  readonly concurrency: number;
  /** The process dies at its so-manieth call of the store, before or after the call has its effect. */
  readonly storeDeaths: readonly { readonly call: number; readonly isAfter: boolean }[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  facts: fc.array(fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    troubles: fc.array(fc.constantFrom<Trouble>('retry', 'hold', 'throw', 'away', 'park', 'crash before', 'crash after'), { maxLength: 3 }),
  }), { minLength: 1, maxLength: 14 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  storeDeaths: fc.array(fc.record({ call: fc.integer({ min: 1, max: 40 }), isAfter: fc.boolean() }), { maxLength: 3 }),
});

const SHRINK_MS_MAX = 30_000;

export function busProperties(name: string, open: () => Promise<LogBusBench>, { runs, msMax = SHRINK_MS_MAX }: { readonly runs: number; readonly msMax?: number }): void {
  test(`${name}: whatever happens to facts and processes, nothing is lost, passed or out of order`, () =>
    fc.assert(fc.asyncProperty(plan, async (one) => {
      const bench = await open();
      await keepsItsWord(bench, one).finally(() => bench.close?.());
    }), { numRuns: runs, interruptAfterTimeLimit: msMax, markInterruptAsFailure: true }), 60_000 + msMax);
}

async function keepsItsWord(bench: LogBusBench, { facts, concurrency, storeDeaths }: Plan): Promise<void> {
  const labels = facts.map(({ key }, index) => `${key}${index}`);
  const left = new Map(labels.map((label, index) => [label, [...(facts[index]?.troubles ?? [])]]));
  const completed: string[] = [];
  const faults = watchStore(bench, completed, storeDeaths);

  const start = (): { opened: OpenBus; worker: Worker } => {
    const opened = bench.open();
    const worker = startWorker(opened.bus, (label) => {
      const trouble = left.get(label)?.shift();
      if (trouble === 'crash before') opened.crash();
      const outcome = trouble === undefined || trouble === 'crash after' || trouble === 'crash before' ? done : troubleOf(trouble);
      // A process that is dead has completed nothing.
      if (outcome.kind === 'done' && !opened.isDead()) completed.push(label);
      if (trouble === 'crash after') opened.crash();
      return outcome;
    }, { concurrency });
    return { opened, worker };
  };
  let { opened, worker } = start();
  for (const label of labels) await append(bench.log, label);
  await until('every fact is completed', async () => {
    if (opened.isDead()) ({ opened, worker } = start());
    await Promise.race([redriveAll(opened.bus), opened.died]);
    return new Set(completed).size === labels.length;
  });
  if (!opened.isDead()) await Promise.race([worker.stop(), opened.died]);

  for (const key of ['a', 'b', 'c']) expect([...new Set(completed)].filter((label) => keyOf(label) === key)).toEqual(labels.filter((label) => keyOf(label) === key));
  expect(await faults()).toEqual([]);
}

/** Somebody watches what is parked, and wants it tried again. */
async function redriveAll(bus: Bus): Promise<void> {
  for (const { group, key } of await bus.parked()) await bus.redrive(group, key);
}

function troubleOf(trouble: Exclude<Trouble, 'crash before' | 'crash after'>): Outcome {
  switch (trouble) {
    case 'retry': return { kind: 'retry', afterMs: 10, reason: 'x' };
    case 'hold': return { kind: 'hold', reason: 'x', until: () => new Promise((resolve) => setImmediate(resolve)) };
    case 'park': return { kind: 'park', reason: 'cannot be' };
    case 'away': throw new Unavailable('gitlab', 'away');
    case 'throw': throw new Error('a fault');
    default: return trouble satisfies never;
  }
}

/** Looks at every call of the store, lets the process die at some of them, and answers what was wrong with the checkpoints. */
function watchStore(bench: LogBusBench, completed: readonly string[], deaths: Plan['storeDeaths']) {
  const saves: { lease: string; position: Position; completed: ReadonlySet<string>; kept: ReadonlySet<Position> }[] = [];
  const kept = new Set<Position>();
  const pending = [...deaths];
  let calls = 0;

  bench.onStoreCall = ({ name, args, die }) => {
    const death = pending[0];
    if (death !== undefined && (calls += 1) >= death.call) {
      pending.shift();
      calls = 0;
      if (!death.isAfter) { die(); return; }
      // After the call has had its effect, and before its answer is heard.
      queueMicrotask(die);
    }
    if (name === 'saveCheckpoint') saves.push({ lease: (args[0] as Lease).name, position: args[1] as Position, completed: new Set(completed), kept: new Set(kept) });
    if (name === 'park') for (const { fact } of args[2] as readonly { fact: Recorded }[]) kept.add(fact.position);
  };
  return async () => {
    const all = await allOf(bench);
    const isOf = bench.isOf ?? (() => true);
    return saves.flatMap((save, index) => [
      ...(save.position < (saves.slice(0, index).findLast(({ lease }) => lease === save.lease)?.position ?? '') ? [`the checkpoint went back to ${save.position}`] : []),
      ...all.filter((fact) => isOf(save.lease, fact.key) && fact.position <= save.position && !save.completed.has(fact.correlationId) && !save.kept.has(fact.position))
        .map((fact) => `the checkpoint ${save.position} passed ${fact.correlationId}`),
    ]);
  };
}

async function allOf(bench: LogBusBench): Promise<readonly Recorded[]> {
  const stopping = new AbortController();
  for await (const { facts } of bench.log.subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })) return facts;
  return [];
}

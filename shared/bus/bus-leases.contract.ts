import { setTimeout as delay } from 'node:timers/promises';
import type { Position } from '#schemas/brand.ts';
import { append, createGate, done, startWorker, until, type OpenBus, type Script, type Shared, type Suite, type Worker } from './bus-bench.contract.ts';

/** What every store of leases must do (group-store.ts). */
export function leaseContract(name: string, openShared: () => Shared): void {
  describe(`${name} are leases`, () => {
    let ending: AbortController;
    const forLong = 60_000;
    let shared: Shared;
    let one: ReturnType<Shared['open']>;
    let other: typeof one;
    let number = 0;
    let lease = '';
    beforeEach(() => {
      ending = new AbortController();
      lease = `lease-${number += 1}`;
      shared = openShared();
      [one, other] = [shared.open(ending.signal), shared.open(ending.signal)];
    });

    afterEach(() => ending.abort());

    test('one has it, until they give it back; then another, in a later term', async () => {
      const first = (await one.takeLease(lease, forLong))!;
      expect(await other.takeLease(lease, forLong)).toBeUndefined();
      expect(await other.takeLease(`${lease}-2`, forLong)).toMatchObject({ name: `${lease}-2` });
      await one.endLease(first);
      expect((await other.takeLease(lease, forLong))!.term).toBeGreaterThan(first.term);
    });

    test('of many who ask at once one gets it', async () => {
      const asked = await Promise.all([one, other, one, other, one, other].map((store) => store.takeLease(lease, forLong)));
      expect(asked.filter((got) => got !== undefined)).toHaveLength(1);
    });

    test('it runs out by the time of the store, and lasts while it is renewed', async () => {
      const first = (await one.takeLease(lease, 1_200))!;
      for (let turn = 0; turn < 4; turn += 1) {
        await delay(400);
        expect(await other.takeLease(lease, forLong)).toBeUndefined();
        expect(await one.renewLease(first, 1_200)).toBe(true);
      }
      await until('it ran out', async () => (await other.takeLease(lease, forLong)) !== undefined);
    });

    test('one that ran out is still its holder\'s while nobody took it; once somebody did, it is gone for good', async () => {
      const first = (await one.takeLease(lease, forLong))!;
      await shared.runOut();
      expect(await one.renewLease(first, forLong)).toBe(true);
      await shared.runOut();
      const second = (await other.takeLease(lease, forLong))!;
      expect(await one.renewLease(first, forLong)).toBe(false);
      await one.endLease(first);
      expect(await one.takeLease(lease, forLong)).toBeUndefined();
      expect(await other.renewLease(second, forLong)).toBe(true);
    });

    test('who died has it no longer, however long it was to last', async () => {
      const life = new AbortController();
      const first = (await shared.open(life.signal).takeLease(lease, forLong))!;
      life.abort();
      let second: typeof first | undefined;
      await until('it is free', async () => (second = await other.takeLease(lease, forLong)) !== undefined);
      expect(second!.term).toBeGreaterThan(first.term);
    });

    test('a write that waits behind who takes over sees that it came too late', async () => {
      const position = (n: number) => String(n).padStart(16, '0') as Position;
      for (let round = 0; round < 20; round += 1) {
        const first = (await one.takeLease(`${lease}-${round}`, forLong))!;
        await shared.runOut();
        const [written, taken] = await Promise.all([
          one.saveCheckpoint(first, position(1)),
          other.takeLease(`${lease}-${round}`, forLong).then(async (second) => ({ second, found: await other.loadCheckpoint(`${lease}-${round}`) })),
        ]);
        expect(taken.second).toBeDefined();
        // Either before the take-over, and seen by it, or not at all.
        expect(taken.found).toBe(written ? position(1) : undefined);
        expect(await other.loadCheckpoint(`${lease}-${round}`)).toBe(taken.found);
      }
    });
  });
}

/** Consumers of one group in two processes. */
export function twoProcesses(suite: Suite): void {
  const begun: { opened: OpenBus; worker: Worker }[] = [];
  afterEach(async () => { await Promise.all(begun.splice(0).filter(({ opened }) => !opened.isDead()).map(({ opened, worker }) => { opened.goOn(); return worker.stop(); })); });

  const start = (script: Script, options?: Parameters<typeof startWorker>[2]) => {
    const opened = suite.bench.open();
    const one = { opened, worker: startWorker(opened.bus, script, options) };
    begun.push(one);
    return one;
  };
  const isTold = (worker: Worker, label: string) => until(`who has ${label} in hand is told`, () => worker.handlings.get(label)?.signal.aborted === true);

  test('each fact is given to one of them; when one stops, the other goes on behind it', async () => {
    await suite.add('a1', 'b1');
    const first = start(() => done);
    await until('the first works', () => first.worker.completed.length === 2);
    const second = start(() => done);
    await suite.add('a2', 'b2');
    await until('the rest is done', () => first.worker.completed.length + second.worker.completed.length === 4);
    if (suite.bench.isShared !== true) expect(second.worker.handled).toEqual([]);
    await first.worker.stop();
    const before = second.worker.completed.length;
    await suite.add('a3');
    await until('the other goes on', () => second.worker.completed.length > before);
    expect([...first.worker.handled, ...second.worker.handled].toSorted()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2']);
    expect(second.worker.handled.at(-1)).toBe('a3');
    expect(second.worker.handlings.get('a3')!.term).toBeGreaterThan(first.worker.handlings.get('a1')!.term);
  });

  test('when the one dies, the other takes over before its lease ran out, with what was in hand', async () => {
    await suite.add('a1', 'b1', 'a2');
    const first = start((label) => (label === 'a1' ? new Promise(() => undefined) : done));
    await until('the first has it in hand', () => first.worker.handled.includes('a1'));
    const second = start(() => done);
    first.opened.crash();
    await until('the other does it', () => second.worker.completed.includes('a2'));
    expect(second.worker.completed.indexOf('a1')).toBeLessThan(second.worker.completed.indexOf('a2'));
  });

  test('one that was stopped, and goes on when the other has taken over, drops what it has and saves no checkpoint', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2', 'b1');
    const first = start(async (label) => { if (label === 'a1') await gate.opened; return done; });
    await until('the first has it in hand', () => first.worker.handled.includes('a1'));
    first.opened.pause();
    await suite.bench.runOut();
    const second = start(() => done);
    await until('the other is through', async () => second.worker.completed.includes('a2') && (await second.opened.bus.workedUpTo('workers')) === (await suite.bench.log.head()));
    const reached = await second.opened.bus.workedUpTo('workers');

    gate.open();
    first.opened.goOn();
    await isTold(first.worker, 'a1');
    await first.worker.stop();
    expect(await second.opened.bus.workedUpTo('workers')).toBe(reached);
    await suite.add('c1');
    await until('the other goes on', () => second.worker.completed.includes('c1'));
  });

  test('one that was stopped parks nothing when it goes on', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2');
    const first = start(async () => { await gate.opened; return { kind: 'park', reason: 'from the past' }; });
    await until('the first has it in hand', () => first.worker.handled.includes('a1'));
    first.opened.pause();
    await suite.bench.runOut();
    const second = start(() => done);
    await until('the other is through', () => second.worker.completed.length === 2);
    gate.open();
    first.opened.goOn();
    await isTold(first.worker, 'a1');
    await first.worker.stop();
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('one that was stopped with a redriven fact forgets nothing when it goes on', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2');
    const first = start(async (_label, times) => { if (times === 1) return { kind: 'park', reason: 'cannot be' }; await gate.opened; return done; });
    await until('it is parked', async () => (await suite.bus.parked()).length === 1);
    await first.opened.bus.redrive('workers', 'a');
    await until('the first has it in hand again', () => first.worker.handled.filter((label) => label === 'a1').length === 2);
    first.opened.pause();
    await suite.bench.runOut();
    const second = start(() => ({ kind: 'park', reason: 'cannot be either' }));
    await until('the other parked it', async () => (await suite.bus.parked())[0]?.reason === 'cannot be either');
    const before = await suite.bus.parked();
    gate.open();
    first.opened.goOn();
    await isTold(first.worker, 'a1');
    await first.worker.stop();
    expect(await suite.bus.parked()).toEqual(before);
    await second.worker.stop();
  });

  test('a duty is done by one at a time; who was stopped is told when it goes on', async () => {
    const [one, other] = [suite.bench.open(), suite.bench.open()];
    const stopping = new AbortController();
    const doing: AbortSignal[] = [];
    const duty = (signal: AbortSignal) => { doing.push(signal); return new Promise<void>((resolve) => { signal.addEventListener('abort', () => resolve()); }); };
    const first = one.bus.lead('duty', duty, stopping.signal);
    await until('one does it', () => doing.length === 1);
    const second = other.bus.lead('duty', duty, stopping.signal);
    await append(suite.bench.log, 'a1');
    one.pause();
    expect(doing).toHaveLength(1);
    await suite.bench.runOut();
    await until('the other does it', () => doing.length === 2);
    expect(doing[0]!.aborted).toBe(false);
    one.goOn();
    await until('the one is told', () => doing[0]!.aborted);
    expect(doing[1]!.aborted).toBe(false);
    stopping.abort();
    await Promise.all([first, second]);
  });
}

import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Progress } from './bus.ts';
import { append, createGate, done, ofKey, parkedOf, startWorker, until, type Bench, type OpenBus, type Suite, type Worker } from './bus-bench.contract.ts';
import { twoProcesses } from './bus-leases.contract.ts';
import { parking, redriving } from './bus-parking.contract.ts';

/** What every bus must do (bus.ts). `open` gives a log and a group memory of the suite's own; each test has its keys to itself. */
export function busContract(name: string, openBench: () => Promise<Bench>): void {
  describe(`${name} is a bus`, () => {
    let bench: Bench;
    let opened: OpenBus;
    const workers: Worker[] = [];
    beforeEach(async () => { bench = await openBench(); opened = bench.open(); });
    afterEach(async () => {
      bench.setAway('nothing');
      await Promise.all(workers.splice(0).map((worker) => worker.stop()));
      await bench.close?.();
    });

    const suite: Suite = {
      get bench() { return bench; },
      get bus() { return opened.bus; },
      work(script, options) {
        const worker = startWorker(opened.bus, script, options);
        workers.push(worker);
        return worker;
      },
      async add(...labels) { for (const label of labels) await append(bench.log, label); },
      async reopen(how) {
        if (how === 'crash') opened.crash();
        const old = workers.splice(0);
        if (how === 'stop') await Promise.all(old.map((worker) => worker.stop()));
        opened = bench.open();
      },
    };
    describe('handing out', () => handingOut(suite));
    describe('waiting', () => waiting(suite));
    describe('parking', () => parking(suite));
    describe('redriving', () => redriving(suite));
    describe('ending', () => ending(suite));
    describe('two processes', () => twoProcesses(suite));
    describe('telling', () => telling(suite));
  });
}

function handingOut(suite: Suite): void {
  test('facts of a key come in order, one at a time', async () => {
    await suite.add('a1', 'b1', 'a2', 'b2', 'a3', 'b3');
    const inHand = new Set<string>();
    const worker = suite.work(async (label) => {
      const key = label.slice(0, 1);
      if (inHand.has(key)) throw new Error(`two of ${key} at once`);
      inHand.add(key);
      await new Promise(setImmediate);
      inHand.delete(key);
      return done;
    });
    await until('all are done', () => worker.completed.length === 6);
    expect(ofKey(worker.handled, 'a')).toEqual(['a1', 'a2', 'a3']);
    expect(ofKey(worker.handled, 'b')).toEqual(['b1', 'b2', 'b3']);
  });

  test('keys are worked on side by side, as many as the consumer wants and no more', async () => {
    const gate = createGate();
    await suite.add('a1', 'b1', 'c1', 'd1', 'e1');
    const worker = suite.work(async () => { await gate.opened; return done; }, { concurrency: 3 });
    await until('three are begun', () => worker.handled.length === 3);
    gate.open();
    await until('all are done', () => worker.completed.length === 5);
    expect(worker.mostAtOnce()).toBe(3);
  });

  test('a key whose fact takes long does not hold the others', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2', 'b1', 'b2');
    const worker = suite.work(async (label) => { if (label === 'a1') await gate.opened; return done; }, { concurrency: 2 });
    await until('b is through', () => ofKey(worker.completed, 'b').length === 2);
    expect(worker.handled).not.toContain('a2');
    gate.open();
    await until('a is through', () => ofKey(worker.completed, 'a').length === 2);
  });

  test('facts that come later are taken as they come', async () => {
    const worker = suite.work(() => done);
    await suite.add('a1');
    await until('the first is done', () => worker.completed.length === 1);
    await suite.add('a2', 'b1');
    await until('the others are done', () => worker.completed.length === 3);
  });

  test('only facts of the wanted types are given', async () => {
    await append(suite.bench.log, 'a1', { type: 'hook.refused' });
    await append(suite.bench.log, 'a2');
    // In the same streams as the refusals.
    await append(suite.bench.log, 'a3', { type: 'hook.installed' });
    await append(suite.bench.log, 'b1', { type: 'hook.refused' });
    const requests = suite.work(() => done);
    const refusals = suite.work(() => done, { group: 'refusals', types: ['hook.refused'] });
    await until('both are through', () => requests.completed.length === 1 && refusals.completed.length === 2);
    expect(requests.handled).toEqual(['a2']);
    expect(refusals.handled).toEqual(['a1', 'b1']);
  });

  test('two groups each get everything, and one that parks a key does not park it for the other', async () => {
    await suite.add('a1', 'a2', 'b1');
    const one = suite.work(() => ({ kind: 'park', reason: 'not for me' }), { group: 'one' });
    const two = suite.work(() => done, { group: 'two' });
    await until('both are through', async () => two.completed.length === 3 && (await suite.bus.parked()).length === 2);
    expect(one.completed).toEqual([]);
    expect((await suite.bus.parked()).map(({ group, key }) => ({ group, key }))).toEqual(expect.arrayContaining([{ group: 'one', key: 'a' }, { group: 'one', key: 'b' }]));
    expect(await suite.bus.redrive('two', 'a')).toBe(0);
  });

  test('a handler sees what else of its key is here already, oldest first, and nothing of other keys', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2', 'b1', 'a3');
    const worker = suite.work(async (label, times, handling) => {
      if (label !== 'a1') return done;
      if (times === 1) return { kind: 'hold', reason: 'until all are here', until: () => gate.opened };
      expect(handling.waiting.map((fact) => fact.correlationId)).toEqual(['a2', 'a3']);
      return done;
    });
    await until('b is through, which came after a2', () => worker.completed.includes('b1'));
    await suite.add('c1');
    await until('c is through, which came after a3', () => worker.completed.includes('c1'));
    gate.open();
    await until('all are done', () => worker.completed.length === 5);
    expect(await suite.bus.parked()).toEqual([]);
  });
}

function waiting(suite: Suite): void {
  test('a key that is to be tried again takes no slot: with one slot the others go on', async () => {
    let isBack = false;
    await suite.add('a1', 'a2', 'b1', 'b2', 'b3');
    const worker = suite.work((label) => (label === 'a1' && !isBack ? { kind: 'retry', afterMs: 1_000, reason: 'away' } : done), { concurrency: 1 });
    await until('b is through, a was tried again', () => ofKey(worker.completed, 'b').length === 3 && worker.handled.filter((label) => label === 'a1').length > 3);
    expect(worker.handled).not.toContain('a2');
    isBack = true;
    await until('a is through', () => ofKey(worker.completed, 'a').length === 2);
  });

  test('a key on hold takes no slot, and its fact is handled again once the state has come', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2', 'b1', 'b2');
    const worker = suite.work((label, times) => (label === 'a1' && times === 1 ? { kind: 'hold', reason: 'until it is there', until: () => gate.opened } : done), { concurrency: 1 });
    await until('b is through', () => ofKey(worker.completed, 'b').length === 2);
    expect(ofKey(worker.handled, 'a')).toEqual(['a1']);
    gate.open();
    await until('a is through', () => ofKey(worker.completed, 'a').length === 2);
    expect(ofKey(worker.handled, 'a')).toEqual(['a1', 'a1', 'a2']);
  });

  test('a wait that fails is no fault of the fact: it is handled again', async () => {
    await suite.add('a1');
    const worker = suite.work((_label, times) => (times <= 7 ? { kind: 'hold', reason: 'x', until: async () => { throw new Error('could not look'); } } : done));
    await until('it is done', () => worker.completed.length === 1);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('a dependency that is away is waited for, however long, and parks nothing; then one fault is one fault', async () => {
    await suite.add('a1', 'a2');
    const worker = suite.work((label, times) => {
      if (label === 'a1' && times <= 40) throw new Unavailable('gitlab', 'away');
      if (label === 'a1' && times === 41) throw new Error('a fault, once');
      return done;
    });
    await until('all are done', () => worker.completed.length === 2);
    expect(worker.handled).toHaveLength(43);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('a fact set aside lets later ones of its key pass, and comes back', async () => {
    await suite.add('a1', 'a2', 'a3');
    let isThere = false;
    const worker = suite.work((label) => (label === 'a1' && !isThere ? { kind: 'aside', afterMs: 50, reason: 'not there yet' } : done));
    await until('the others passed', () => worker.completed.length === 2);
    expect(worker.completed).toEqual(['a2', 'a3']);
    isThere = true;
    await until('it came back', () => worker.completed.length === 3);
  });

  test('a fact that is set aside is not among the waiting of those that pass it', async () => {
    await suite.add('a1', 'a2');
    let isThere = false;
    const worker = suite.work((label) => (label === 'a1' && !isThere ? { kind: 'aside', afterMs: 50, reason: 'not there yet' } : done));
    await until('the other passed', () => worker.completed.includes('a2'));
    expect(worker.handlings.get('a2')?.waiting).toEqual([]);
    isThere = true;
    await until('it came back', () => worker.completed.length === 2);
  });

  test('a handler is told how long ago this process handled the fact first', async () => {
    await suite.add('a1');
    const seen: number[] = [];
    const worker = suite.work((_label, _times, { sinceFirstMs }) => (seen.push(sinceFirstMs), sinceFirstMs < 20 ? { kind: 'retry', afterMs: 5, reason: 'not long enough' } : done));
    await until('it is done', () => worker.completed.length === 1);
    expect(seen[0]).toBe(0);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
}

function ending(suite: Suite): void {
  test('stop waits for what is in hand, begins nothing else, and the next process goes on behind it', async () => {
    const gate = createGate();
    await suite.add('a1', 'a2', 'b1');
    const worker = suite.work(async (label) => { if (label === 'a1') await gate.opened; return done; }, { concurrency: 1 });
    await until('it is in hand', () => worker.handled.includes('a1'));
    let hasStopped = false;
    const stopping = worker.stop().then(() => { hasStopped = true; });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(hasStopped).toBe(false);
    gate.open();
    await stopping;
    expect(worker.completed).toEqual(['a1']);
    await suite.reopen('stop');
    const next = suite.work(() => done);
    await until('the rest is done', () => next.completed.length === 2);
    expect(next.handled.toSorted()).toEqual(['a2', 'b1']);
  });

  test('stop does not wait for a wait to end', async () => {
    await suite.add('a1', 'b1', 'c1');
    const worker = suite.work((label, _times, { signal }) => {
      if (label === 'a1') return { kind: 'retry', afterMs: 10_000_000, reason: 'away' };
      if (label === 'b1') return { kind: 'aside', afterMs: 10_000_000, reason: 'later' };
      return { kind: 'hold', reason: 'x', until: () => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopping')))) };
    });
    await until('all wait', () => new Set(worker.handled).size === 3);
    await suite.reopen('stop');
    const next = suite.work(() => done);
    await until('all are done', () => next.completed.length === 3);
  });

  test('a handler that fails because it is told to stop has not failed', async () => {
    await suite.add('a1');
    const worker = suite.work((_label, _times, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))));
    await until('it is in hand', () => worker.handled.length === 1);
    await suite.reopen('stop');
    const next = suite.work(() => done);
    await until('it is done', () => next.completed.length === 1);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('what was done is not handled again after a stop', async () => {
    await suite.add('a1', 'b1', 'a2');
    const worker = suite.work(() => done);
    await until('all are done', () => worker.completed.length === 3);
    await suite.reopen('stop');
    const next = suite.work(() => done);
    await suite.add('c1');
    await until('what is new is done', () => next.completed.includes('c1'));
    expect(next.handled).toEqual(['c1']);
  });

  test('after a crash a fact that was not done is handled again, although later ones of other keys were done', async () => {
    await suite.add('a1', 'b1', 'b2', 'a2');
    const worker = suite.work((label) => (label === 'a1' ? { kind: 'retry', afterMs: 1_000, reason: 'away' } : done));
    await until('b is through', () => ofKey(worker.completed, 'b').length === 2);
    await suite.reopen('crash');
    const next = suite.work(() => done);
    await until('a is through', () => ofKey(next.completed, 'a').length === 2);
    expect(ofKey(next.handled, 'a')).toEqual(['a1', 'a2']);
  });

  test('a stop while the store is away passes over nothing: not what was to be parked, not what came behind a parked key', async () => {
    await suite.add('a1', 'b1');
    let isAskedToPark = false;
    const worker = suite.work((label) => {
      if (label === 'b2') { suite.bench.setAway('parking'); isAskedToPark = true; }
      return label === 'a1' || label === 'b2' ? { kind: 'park', reason: 'cannot be' } : done;
    });
    await until('a is parked', async () => (await parkedOf(suite, 'a')) !== undefined);
    await suite.add('b2');
    await until('b cannot be parked', () => isAskedToPark);
    await suite.add('a2', 'c1');
    // The checkpoint can still be saved: what must not happen is that it passes them.
    await worker.stop();
    suite.bench.setAway('nothing');
    await suite.reopen('stop');
    const next = suite.work(() => done);
    await until('what came later is done', () => next.completed.includes('c1'));
    await until('a2 went behind a1', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    await until('b2 is done, or parked', async () => next.completed.includes('b2') || (await parkedOf(suite, 'b')) !== undefined);
  });
}

function telling(suite: Suite): void {
  test('progress reaches who listens, until they listen no longer', () => {
    const progress = (objectsDone: number) => ({ syncId: 's', codebaseId: 'c', ref: 'refs/heads/main', step: 'fetch', objectsDone, objectsTotal: null, bytesDone: 1 }) as unknown as Progress;
    const heard: number[][] = [[], []];
    const [first = () => undefined, second = () => undefined] = heard.map((list) => suite.bus.onProgress(({ objectsDone }) => list.push(objectsDone)));
    suite.bus.tellProgress(progress(1));
    first();
    suite.bus.tellProgress(progress(2));
    second();
    suite.bus.tellProgress(progress(3));
    expect(heard).toEqual([[1], [1, 2]]);
  });
}

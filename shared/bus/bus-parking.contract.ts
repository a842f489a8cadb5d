import { append, createGate, done, ofKey, parkedOf, until, type Suite, type Worker } from './bus-bench.contract.ts';

/** What is set aside: visibly, with everything behind it, until somebody redrives it. */
export function parking(suite: Suite): void {
  test('a handler that throws is tried five times; then its key is parked, with the reason', async () => {
    await suite.add('a1', 'b1');
    const worker = suite.work((label) => { if (label === 'a1') throw new Error('a bug of ours'); return done; });
    await until('it is parked', async () => (await parkedOf(suite, 'a')) !== undefined);
    expect(worker.handled.filter((label) => label === 'a1')).toHaveLength(5);
    expect(await parkedOf(suite, 'a')).toMatchObject({ group: 'workers', key: 'a', type: 'sync.requested', facts: 1, reason: expect.stringContaining('a bug of ours') });
    expect(worker.completed).toEqual(['b1']);
  });

  test('a handler that throws four times and then does it is not parked', async () => {
    await suite.add('a1');
    const worker = suite.work((_label, times) => { if (times < 5) throw new Error('a race'); return done; });
    await until('it is done', () => worker.completed.length === 1);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('a parked key is set aside with everything behind it, what is here and what comes; the others go on', async () => {
    await suite.add('a1', 'a2', 'b1');
    const worker = suite.work((label) => (label.startsWith('a') ? { kind: 'park', reason: 'cannot be' } : done));
    await until('it is parked with what is here', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    await suite.add('a3', 'b2');
    await until('what comes goes behind', async () => (await parkedOf(suite, 'a'))?.facts === 3 && worker.completed.length === 2);
    expect(ofKey(worker.handled, 'a')).toEqual(['a1']);
    expect(await parkedOf(suite, 'a')).toMatchObject({ reason: 'cannot be', since: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(await suite.bus.parked({ key: 'b' })).toEqual([]);
  });

  test('a fact that this program cannot read parks its key only', async () => {
    await append(suite.bench.log, 'a1', { isUnreadable: true });
    await suite.add('a2', 'b1');
    const worker = suite.work(() => done);
    await until('the other is done', () => worker.completed.length === 1);
    await until('it is parked', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    expect((await parkedOf(suite, 'a'))?.reason).toContain('codebaseId');
    expect(worker.handled).toEqual(['b1']);
  });

  test('a fact that was set aside is parked with its key, and waits in its place', async () => {
    let isMended = false;
    await suite.add('a1', 'a2');
    const worker = suite.work((label) => {
      if (isMended) return done;
      return label === 'a1' ? { kind: 'aside', afterMs: 1_000, reason: 'later' } : { kind: 'park', reason: 'cannot be' };
    });
    await until('both are parked', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    expect(await parkedOf(suite, 'a')).toMatchObject({ reason: 'cannot be' });
    isMended = true;
    await suite.bus.redrive('workers', 'a');
    await until('both are done', () => worker.completed.length === 2);
    expect(worker.completed).toEqual(['a1', 'a2']);
  });

  test.each(['stop', 'crash'] as const)('what is parked is parked still after a %s, and nothing of it is handled', async (how) => {
    await suite.add('a1', 'a2');
    suite.work((label) => (label === 'a1' ? { kind: 'park', reason: 'cannot be' } : done));
    await until('it is parked', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    await suite.reopen(how);
    const worker = suite.work(() => done);
    await suite.add('a3', 'b1');
    await until('the other is done, the new one behind', async () => worker.completed.length === 1 && (await parkedOf(suite, 'a'))?.facts === 3);
    expect(worker.handled).toEqual(['b1']);
    expect(await parkedOf(suite, 'a')).toMatchObject({ reason: 'cannot be' });
  });

  test('while the store is away nothing is parked, lost or passed; then it goes on', async () => {
    let tried = 0;
    const worker = suite.work((label) => {
      if (!label.startsWith('a')) return done;
      tried += 1;
      suite.bench.setAway('everything');
      return { kind: 'park', reason: 'cannot be' };
    });
    // Who has not begun yet cannot begin while it is away.
    await suite.add('b0');
    await until('the other key is worked on', () => worker.completed.includes('b0'));
    await suite.add('a1', 'b1', 'a2');
    await until('the other key goes on', () => tried === 1 && worker.completed.includes('b1'));
    suite.bench.setAway('nothing');
    await until('it is parked', async () => (await parkedOf(suite, 'a'))?.facts === 2);
    expect(tried).toBe(1);
  });
}

export function redriving(suite: Suite): void {
  async function parkedAt(label: string, ...labels: string[]): Promise<{ worker: Worker; mend(): void }> {
    let isMended = false;
    await suite.add(...labels);
    const worker = suite.work((one) => (one === label && !isMended ? { kind: 'park', reason: 'cannot be' } : done));
    await until('it is parked', async () => (await parkedOf(suite, label.slice(0, 1)))?.facts === labels.length);
    return { worker, mend: () => { isMended = true; } };
  }

  test('a redriven key is worked through in order, its facts marked as redriven, what comes then is not', async () => {
    const { worker, mend } = await parkedAt('a1', 'a1', 'a2', 'a3');
    mend();
    expect(await suite.bus.redrive('workers', 'a')).toBe(3);
    await suite.add('a4');
    await until('all are done', () => worker.completed.length === 4);
    expect(worker.completed).toEqual(['a1', 'a2', 'a3', 'a4']);
    expect(['a1', 'a2', 'a3', 'a4'].map((label) => worker.handlings.get(label)?.isRedriven)).toEqual([true, true, true, false]);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('a redriven key that parks again loses nothing, however often, whatever comes meanwhile', async () => {
    const { worker, mend } = await parkedAt('a1', 'a1', 'a2');
    for (let times = 2; times <= 4; times += 1) {
      await suite.bus.redrive('workers', 'a');
      await suite.add(`a${times + 1}`);
      await until('it is parked again', async () => (await parkedOf(suite, 'a'))?.facts === times + 1);
    }
    expect(worker.completed).toEqual([]);
    mend();
    expect(await suite.bus.redrive('workers', 'a')).toBe(5);
    await until('all are done', () => worker.completed.length === 5);
    expect(worker.completed).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
  });

  test('a redriven key that parks at a later fact keeps that one and those behind it', async () => {
    await suite.add('a1', 'a2', 'a3');
    const cannotBe = new Set(['a1', 'a2']);
    const worker = suite.work((label) => (cannotBe.has(label) ? { kind: 'park', reason: `${label} cannot be` } : done));
    await until('it is parked', async () => (await parkedOf(suite, 'a'))?.facts === 3);
    cannotBe.delete('a1');
    await suite.bus.redrive('workers', 'a');
    await until('it is parked at the next', async () => (await parkedOf(suite, 'a'))?.reason === 'a2 cannot be');
    expect(await parkedOf(suite, 'a')).toMatchObject({ facts: 2 });
    expect(worker.completed).toEqual(['a1']);
  });

  test.each(['stop', 'crash'] as const)('a redrive that a %s interrupts goes on in the next process, in order', async (how) => {
    await suite.add('a1', 'a2', 'a3');
    const gate = createGate();
    let isMended = false;
    suite.work(async (label, _times, { signal }) => {
      if (label === 'a1' && !isMended) return { kind: 'park', reason: 'cannot be' };
      // Begun, and not done before the process ends.
      if (label === 'a2') return { kind: 'hold', reason: 'x', until: () => Promise.race([gate.opened, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))]) };
      return done;
    });
    await until('it is parked', async () => (await parkedOf(suite, 'a'))?.facts === 3);
    isMended = true;
    await suite.bus.redrive('workers', 'a');
    await until('it is under way', async () => (await suite.bus.parked()).length === 0);
    await suite.reopen(how);
    await suite.add('a4');
    const worker = suite.work(() => done);
    await until('the rest is done', () => worker.completed.includes('a4'));
    expect(worker.completed.filter((label) => label !== 'a1')).toEqual(['a2', 'a3', 'a4']);
  });

  test('a key that is redriven by another process, or while nobody works, is worked on', async () => {
    const { worker, mend } = await parkedAt('a1', 'a1', 'a2');
    mend();
    expect(await suite.bench.open().bus.redrive('workers', 'a')).toBe(2);
    // Comes before the worker can have noticed.
    await suite.add('a3');
    await until('all are done', () => worker.completed.length === 3);
    await suite.add('a4');
    await until('the next is done', () => worker.completed.length === 4);
    expect(worker.completed).toEqual(['a1', 'a2', 'a3', 'a4']);
  });

  test('facts that come while their key is redriven keep their order, and none stays behind', async () => {
    let isMended = false;
    const labels = Array.from({ length: 60 }, (_, index) => `a${index}`);
    const worker = suite.work((label) => (label === 'a0' && !isMended ? { kind: 'park', reason: 'cannot be' } : done));
    const other = suite.bench.open().bus;
    const appending = suite.add(...labels);
    await until('it is parked', async () => (await parkedOf(suite, 'a')) !== undefined);
    isMended = true;
    await Promise.all([appending, suite.bus.redrive('workers', 'a'), other.redrive('workers', 'a'), suite.bus.redrive('workers', 'a')]);
    await until('all are done', () => worker.completed.length >= labels.length);
    expect(worker.completed).toEqual(labels);
    expect(await suite.bus.parked()).toEqual([]);
  });

  test('redriving what is not parked, or not known, does nothing', async () => {
    expect(await suite.bus.redrive('workers', 'a')).toBe(0);
    expect(await suite.bus.redrive('nobody', 'a')).toBe(0);
  });
}

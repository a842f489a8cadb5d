import { BEGINNING } from '#schemas/brand.ts';
import type { Appendable, Batch, EventLog } from './event-log.ts';
import { follow, hasFacts, idsOf, isCaughtUp, newFacts, newFamily, withoutPlace, type Family } from './event-log-facts.contract.ts';

/** What every subscription must do; part of event-log.contract.ts. */
export function subscriptionContract(log: () => EventLog): void {
  describe('order and place', () => placeContract(log));
  describe('a choice of streams', () => prefixContract(log));
  describe('its life', () => lifeContract(log));
}

/** Each fact in a stream of its own, one after the other. */
async function appendEach(log: EventLog, family: Family, facts: readonly Appendable[]): Promise<void> {
  for (const fact of facts) await append(log, family, [fact]);
}

/** 2,500 are more than one page of every adapter. */
async function appendMany(log: EventLog, family: Family, count: number): Promise<string[]> {
  const facts = newFacts(count);
  for (let from = 0; from < count; from += 100) await append(log, family, facts.slice(from, from + 100));
  return idsOf(facts);
}

async function append(log: EventLog, family: Family, facts: readonly Appendable[]): Promise<void> {
  expect(await log.append(family.of(facts[0]?.id ?? ''), 'noStream', facts)).toMatchObject({ kind: 'appended' });
}

function placeContract(log: () => EventLog): void {
  test('facts of all streams come in one order, that of their positions, as they stand in their streams', async () => {
    const family = newFamily();
    const facts = newFacts(12);
    await appendEach(log(), family, facts);
    const taken = await follow(log(), { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(12));

    expect(taken.facts.map(withoutPlace)).toEqual(facts);
    expect(taken.facts.map(({ position }) => position)).toEqual(taken.facts.map(({ position }) => position).sort());
    for (const fact of taken.facts) expect(await log().readStream(fact.stream, { limit: 1 })).toEqual([fact]);
  });

  test('after any position, also one inside an append, come exactly the facts behind it', async () => {
    const family = newFamily();
    for (let index = 0; index < 4; index += 1) await log().append(family.of(index), 'noStream', newFacts(3));
    const all = (await follow(log(), { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(12))).facts;

    for (const [index, { position }] of all.entries()) {
      const rest = await follow(log(), { after: position, prefixes: [family.prefix] }, (taken) => hasFacts(11 - index)(taken) && isCaughtUp(taken));
      expect(rest.facts).toEqual(all.slice(index + 1));
    }
  });

  test('the position of every batch is a good checkpoint', async () => {
    const family = newFamily();
    const ids = await appendMany(log(), family, 2_500);
    const { batches } = await follow(log(), { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(2_500));
    let given = 0;
    for (const batch of batches.slice(0, 10)) {
      given += batch.facts.length;
      const next = await follow(log(), { after: batch.position, prefixes: [family.prefix] }, (taken) => hasFacts(1)(taken) || given === ids.length);
      expect(next.facts[0]?.id).toBe(ids[given]);
    }
  });

  test('nothing is missed, doubled or out of order while many write', async () => {
    const family = newFamily();
    const after = await log().head();
    const reading = follow(log(), { after, prefixes: [family.prefix] }, hasFacts(400));
    await Promise.all(Array.from({ length: 16 }, async (_, writer) => {
      for (let index = 0; index < 25; index += 1) await log().append(family.of(writer), index === 0 ? 'noStream' : index - 1, newFacts(1));
    }));

    const { facts } = await reading;
    const positions = facts.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].sort());
    for (let writer = 0; writer < 16; writer += 1) {
      const own = facts.filter(({ stream }) => stream === family.of(writer));
      expect(own.map(({ revision }) => revision)).toEqual(Array.from({ length: 25 }, (_, index) => index));
    }
  });

  test('two subscriptions see the same', async () => {
    const family = newFamily();
    const live = follow(log(), { after: await log().head(), prefixes: [family.prefix] }, hasFacts(30));
    await appendEach(log(), family, newFacts(30));
    const late = await follow(log(), { after: BEGINNING, prefixes: [family.prefix] }, hasFacts(30));
    expect((await live).facts).toEqual(late.facts);
  });

  test('after the head come only facts that were appended later', async () => {
    const family = newFamily();
    const [before, later] = [newFacts(3), newFacts(2)];
    await appendEach(log(), family, before);
    const after = await log().head();
    await appendEach(log(), family, later);
    expect(idsOf((await follow(log(), { after }, hasFacts(2))).facts)).toEqual(idsOf(later));
  });
}

function prefixContract(log: () => EventLog): void {
  test('only facts of streams that begin with one of the prefixes are given, in one order', async () => {
    const families = [newFamily(), newFamily(), newFamily()] as const;
    const facts = newFacts(30);
    for (const [index, fact] of facts.entries()) await log().append((families[index % 3] ?? families[0]).of(fact.id), 'noStream', [fact]);

    const prefixes = [families[0].prefix, families[2].prefix];
    const { facts: given } = await follow(log(), { after: BEGINNING, prefixes }, hasFacts(20));
    expect(idsOf(given)).toEqual(idsOf(facts.filter((_, index) => index % 3 !== 1)));
  });

  test('a prefix is letters, no pattern', async () => {
    const family = newFamily();
    await log().append(family.of('axb'), 'noStream', newFacts(1));
    await log().append(family.of('a_b'), 'noStream', newFacts(1));
    const { facts } = await follow(log(), { after: BEGINNING, prefixes: [`${family.prefix}a_`] }, hasFacts(1));
    expect(facts.map(({ stream }) => stream)).toEqual([family.of('a_b')]);
  });

  test('without prefixes all facts are given', async () => {
    const after = await log().head();
    const facts = newFacts(4);
    for (const fact of facts) await log().append(newFamily().of('a'), 'noStream', [fact]);
    expect(idsOf((await follow(log(), { after }, hasFacts(4))).facts)).toEqual(idsOf(facts));
  });

  test('the position moves on though nothing matches, and nothing is lost behind it', async () => {
    const [others, family] = [newFamily(), newFamily()];
    const after = await log().head();
    const following = follow(log(), { after, prefixes: [family.prefix] }, ({ position }) => position > after);
    await appendMany(log(), others, 1_000);
    const taken = await following;
    expect(taken.facts).toEqual([]);

    const facts = newFacts(2);
    await appendEach(log(), family, facts);
    expect(idsOf((await follow(log(), { after: taken.position, prefixes: [family.prefix] }, hasFacts(2))).facts)).toEqual(idsOf(facts));
  });
}

function lifeContract(log: () => EventLog): void {
  test('the first batch comes though there is nothing to give', async () => {
    const { batches } = await follow(log(), { after: await log().head(), prefixes: [newFamily().prefix] }, () => true);
    expect(batches[0]?.facts).toEqual([]);
  });

  test('it catches up, says so, and goes on with what is appended then', async () => {
    const family = newFamily();
    const old = await appendMany(log(), family, 2_500);
    const fresh = newFacts(20);
    let isLive = false;
    const taken = await follow(log(), { after: BEGINNING, prefixes: [family.prefix] }, async (sofar) => {
      if (!isLive && isCaughtUp(sofar)) {
        isLive = true;
        expect(sofar.facts).toHaveLength(old.length);
        // Not awaited: the reader must not be needed for an append to end.
        void appendEach(log(), family, fresh);
      }
      return hasFacts(2_520)(sofar);
    });
    expect(idsOf(taken.facts)).toEqual([...old, ...idsOf(fresh)]);
  });

  test('a slow reader gets everything, in order', async () => {
    const family = newFamily();
    const ids: string[] = [];
    const taken = await follow(log(), { after: await log().head(), prefixes: [family.prefix] }, async ({ facts, batches }) => {
      // As slow as this reader is, more comes in while it works on what it has.
      if (batches.length <= 5) ids.push(...await appendMany(log(), family, 500));
      return facts.length > 0 && facts.length === ids.length;
    });
    expect(idsOf(taken.facts)).toEqual(ids);
  });

  test('an abort ends it at once while it waits', async () => {
    const stopping = new AbortController();
    const batches = log().subscribe({ after: await log().head(), prefixes: [newFamily().prefix], signal: stopping.signal })[Symbol.asyncIterator]();
    while (!((await batches.next()).value as Batch).isCaughtUp);
    const next = batches.next();
    stopping.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('an abort ends it between two batches, though there is more', async () => {
    const family = newFamily();
    await appendMany(log(), family, 2_500);
    const stopping = new AbortController();
    let batches = 0;
    for await (const _batch of log().subscribe({ after: BEGINNING, prefixes: [family.prefix], signal: stopping.signal })) {
      batches += 1;
      stopping.abort();
    }
    expect(batches).toBe(1);
  });

  test('one that is aborted before it begins gives nothing', async () => {
    const batches = log().subscribe({ after: BEGINNING, prefixes: [], signal: AbortSignal.abort() });
    expect(await batches[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  });

  test('one that ends leaves the others as they are', async () => {
    const family = newFamily();
    const after = await log().head();
    const staying = follow(log(), { after, prefixes: [family.prefix] }, hasFacts(3));
    await follow(log(), { after, prefixes: [family.prefix] }, () => true);
    const facts = newFacts(3);
    await appendEach(log(), family, facts);
    expect(idsOf((await staying).facts)).toEqual(idsOf(facts));
  });
}

import fc from 'fast-check';
import type { AuditEntry as ShownEntry } from '#schemas/api/audit.ts';
import type { SourceId } from '#schemas/brand.ts';
import { sourceStream } from '#schemas/ids.ts';
import type { AuditEntry } from '#shared/audit/audit-entries.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { openWorld, time, uuid, type World } from './query-api-world.fixture.ts';

let world: World;
let made = 0;
const entries: AuditEntry[] = [];
beforeEach(async () => {
  entries.length = 0;
  world = await openWorld({
    audit: {
      list: async ({ actor, acts, target, since, until, after, limit }) => entries.filter((one) => (actor === undefined || one.actor.id === actor) && (acts?.includes(one.act) ?? true) && (target === undefined || one.target === target)
        && (since === undefined || one.at >= since) && (until === undefined || one.at < until) && (after === undefined || one.at < after.at || (one.at === after.at && Number(one.id) < Number(after.id)))).sort((left, right) => (left.at === right.at ? Number(right.id) - Number(left.id) : left.at < right.at ? 1 : -1)).slice(0, limit),
    },
  });
});
afterEach(() => world.stop());

const PEOPLE = [uuid(1), uuid(2)];
const person = (nth: number) => PEOPLE[nth % PEOPLE.length] ?? '';

function addEntry(second: number, actor: string): void {
  entries.push({ id: `${entries.length + 1}`, at: time(second), lastAt: time(second), count: 1, actor: { kind: 'user', id: actor }, act: 'token-made', target: uuid(500 + (second % 3)), route: null, code: null, address: null });
}

async function addFact(second: number, actor: string): Promise<void> {
  const key = uuid(1_000 + (made += 1)) as SourceId;
  const fact = newFact({ type: 'source.removed', key, actor: { kind: 'user', id: actor }, correlationId: 'c', causationId: null, time: new Date(time(second)), data: { sourceId: key, command: { id: 'c', digest: '0'.repeat(64) } } });
  await world.log.append(sourceStream(key), 'noStream', [fact]);
  const [recorded] = await world.log.readStream(sourceStream(key), { limit: 1 });
  if (recorded !== undefined) world.model.facts = [...world.model.facts, { ...fact, stream: recorded.stream, revision: recorded.revision, position: recorded.position }];
}

async function allOf(query: string): Promise<{ found: ShownEntry[]; pages: number }> {
  const found: ShownEntry[] = [];
  let pages = 0;
  for (let next: string | null = `/v1/audit?${query}`; next !== null; pages += 1) {
    const answer = await world.ask(next);
    expect(answer.status).toBe(200);
    found.push(...answer.json().entries);
    next = answer.json().next;
  }
  return { found, pages };
}

test('entries and facts stand in one list, the latest first, whole and once whatever the size of a page and whatever is asked', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ isFact: fc.boolean(), wait: fc.integer({ min: 0, max: 2 }), who: fc.nat({ max: 1 }) }), { maxLength: 25 }), fc.integer({ min: 1, max: 6 }), fc.constantFrom('', `actor=${uuid(1)}`, 'act=token-made', 'act=source.removed', `target=${uuid(501)}`, `since=${time(10)}`, `until=${time(10)}`), async (steps, limit, filter) => {
    entries.length = 0;
    world.model = { ...world.model, facts: [] };
    let second = 0;
    for (const { isFact, wait, who } of steps) {
      second += wait;
      if (isFact) await addFact(second, person(who));
      // What is counted comes a moment late.
      else addEntry(Math.max(0, second - who), person(who));
    }
    const { found } = await allOf(`${filter}&limit=${limit}`);
    const [name, value = ''] = filter.split('=');
    const isAsked = (one: { at: string; actor: string | null; act: string; target: string | null }) => name === '' || (name === 'actor' ? one.actor === value : name === 'act' ? one.act === value : name === 'target' ? one.target === value : name === 'since' ? one.at >= value : one.at < value);
    const there = [...entries.map(({ id, at, actor, act, target }) => ({ id, at, actor: actor.id, act, target })), ...world.model.facts.map(({ id, time: at = '', key }) => ({ id: `${id}`, at, actor: null, act: 'source.removed', target: key as string }))];
    const ofFacts = new Map((await Promise.all(world.model.facts.map(({ stream }) => world.log.readStream(stream, { limit: 1 })))).flatMap((facts) => facts.map((fact) => [fact.id as string, fact.actor.id] as const)));
    const expected = there.map((one) => ({ ...one, actor: one.actor ?? ofFacts.get(one.id) ?? null })).filter(isAsked);
    expect(found.map(({ id }) => id).sort()).toEqual(expected.map(({ id }) => id).sort());
    expect(found.map(({ at }) => at)).toEqual(expected.map(({ at }) => at).sort().toReversed());
  }), { numRuns: 60 });
});

test('what somebody did long ago is found behind a thousand facts of others, page after page', async () => {
  await addFact(1, person(0));
  addEntry(2, person(0));
  for (let nth = 0; nth < 1_300; nth += 1) await addFact(3, person(1));
  const { found, pages } = await allOf(`actor=${person(0)}`);
  expect(found.map(({ act }) => act)).toEqual(['token-made', 'source.removed']);
  expect(pages).toBe(2);
});

test('it tells who it was by name, of who is erased by the id only; and what nobody records is no filter', async () => {
  addEntry(1, person(0));
  expect((await allOf('')).found).toEqual([{ id: '1', at: time(1), lastAt: time(1), count: 1, actor: { kind: 'user', id: person(0), name: null }, act: 'token-made', target: uuid(501), route: null, code: null, address: null, position: null }]);
  expect(await world.ask('/v1/audit?act=token.made')).toMatchObject({ status: 400 });
});

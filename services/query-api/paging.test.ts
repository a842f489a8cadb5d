import fc from 'fast-check';
import type { CodebaseId, ProjectId } from '#schemas/brand.ts';
import { APP, at, codebaseView, commitOf, openWorld, syncView, time, uuid, versionView, type World } from './query-api-world.fixture.ts';

let world: World;
beforeAll(async () => { world = await openWorld(); });
afterAll(() => world.stop());

const LISTS = {
  versions: { address: `/v1/codebases/${APP}/versions`, idOf: (one: any) => one.commit, add: (n: number) => { world.model.versions = [...world.model.versions, versionView(n)]; } },
  refs: { address: `/v1/codebases/${APP}/refs`, idOf: (one: any) => one.commit, add: (n: number) => { world.model.versions = [...world.model.versions, versionView(n, `refs/heads/${(n * 7_919) % 1_000}-${n}`)]; } },
  // Begun in any order, many at once: what waited in a spool is recorded late, and one cause begins a sync for each ref.
  syncs: { address: '/v1/syncs', idOf: (one: any) => one.id, add: (n: number) => { world.model.syncs = [...world.model.syncs, syncView(n, { begunAt: time((n * 7_919) % 5) })]; } },
  codebases: { address: '/v1/codebases', idOf: (one: any) => one.id, add: (n: number) => { world.model.codebases = [...world.model.codebases, codebaseView(uuid((n * 7_919) % 100_000) as never)]; } },
  parked: { address: '/v1/parked', idOf: (one: any) => one.key, add: (n: number) => { world.parked = [...world.parked, { group: `g${n % 3}`, key: uuid((n * 7_919) % 100_000), reason: 'r', since: time(1), position: at(1), type: 't', facts: 1 }]; } },
} as const;

test.each(Object.keys(LISTS) as (keyof typeof LISTS)[])('%s: whatever is added while they are paged, nothing that was there is lost and nothing comes twice', async (name) => {
  const { address, idOf, add } = LISTS[name];
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 25 }), fc.integer({ min: 1, max: 7 }), fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 10 }), async (there, limit, added) => {
    world.model = { ...world.model, versions: [], syncs: [], codebases: [codebaseView()] };
    world.parked = [];
    let n = 0;
    for (; n < there; n += 1) add(n + 1);
    const before = (await world.ask(`${address}?limit=1000`)).json()[name].map(idOf);
    const seen: string[] = [];
    for (let next: string | null = `${address}?limit=${limit}`, page = 0; next !== null; page += 1) {
      const answer = await world.ask(next);
      expect(answer.status).toBe(200);
      const body = answer.json();
      expect(answer.headers['link']).toBe(body.next === null ? undefined : `<${body.next}>; rel="next"`);
      seen.push(...body[name].map(idOf));
      for (let more = 0; more < (added[page] ?? 0); more += 1) add((n += 1));
      next = body.next;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(before.filter((id: string) => !seen.includes(id))).toEqual([]);
  }), { numRuns: 25 });
});

test('a page that ends with the last one has no next', async () => {
  world.model = { ...world.model, versions: [1, 2, 3].map((n) => versionView(n)) };
  expect((await world.ask(`/v1/codebases/${APP}/versions?limit=3`)).json()).toMatchObject({ versions: [{}, {}, {}], next: null });
  expect((await world.ask(`/v1/codebases/${APP}/versions?limit=2`)).json().next).toEqual(expect.stringContaining('after='));
});

test('a project of more codebases than it tells is read on by its link', async () => {
  const project = uuid(7) as ProjectId;
  const ids = Array.from({ length: 1_003 }, (_, n) => uuid(n + 1) as CodebaseId);
  world.model = {
    ...world.model, codebases: ids.map((id) => codebaseView(id)), members: ids.map((codebase) => ({ project, codebase, isMember: true })),
    projects: [{ id: project, name: 'p', state: 'active', createdAt: time(1), removedAt: null, revision: 0 }] as never,
  };
  const first = await world.ask(`/v1/projects/${project}`);
  const { codebases, next } = first.json();
  expect([codebases.length, first.headers['link']]).toEqual([1_000, `<${next}>; rel="next"`]);
  const rest = await world.ask(next);
  expect([rest.status, rest.json().codebases.map((one: any) => one.id), rest.json().next]).toEqual([200, ids.slice(1_000), null]);
});

test('a cursor is refused where it does not belong, with what to do', async () => {
  world.model = { ...world.model, versions: [1, 2, 3].map((n) => versionView(n)) };
  const { next } = (await world.ask(`/v1/codebases/${APP}/versions?limit=1&ref=main`)).json();
  const cursor = new URL(next, 'http://x').searchParams.get('after') ?? '';
  const codeOf = async (address: string) => { const answer = await world.ask(address); return [answer.status, answer.json().code]; };
  // Where the log was rebuilt: the same cursor with another epoch.
  const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  const older = Buffer.from(JSON.stringify([parts[0], parts[1], '00000000', parts[3]])).toString('base64url');
  const versions = `/v1/codebases/${APP}/versions`;
  expect(await codeOf(`${versions}?ref=main&after=${older}`)).toEqual([410, 'cursor-of-another-log']);
  expect(await codeOf(`${versions}?ref=side&after=${cursor}`)).toEqual([400, 'cursor-of-another-question']);
  expect(await codeOf(`/v1/codebases?after=${cursor}`)).toEqual([400, 'cursor-of-another-question']);
  for (const wrong of ['x', 'e30', Buffer.from('[1,"a",null,[1]]').toString('base64url'), Buffer.from('[1,"a",null,["b","c","d","e"]]').toString('base64url')]) expect(await codeOf(`${versions}?after=${wrong}`)).toEqual([400, 'cursor-malformed']);
  // Another limit, and what was waited for, are not another question.
  expect((await world.ask(`${versions}?ref=main&limit=2&after=${cursor}`)).json().versions.map((one: any) => one.commit)).toEqual([commitOf(2), commitOf(1)]);
});

test('refs and versions are filtered by name, pattern and commit', async () => {
  world.model = { ...world.model, versions: [versionView(1, 'refs/heads/main', 0xabcdef1), versionView(2, 'refs/heads/release/1'), versionView(3, 'refs/tags/release/1'), versionView(4, 'refs/heads/rel_ase'), versionView(5, 'refs/heads/gone'), versionView(6, 'refs/heads/gone', null)] };
  const refsOf = async (list: 'refs' | 'versions', query: string) => (await world.ask(`/v1/codebases/${APP}/${list}?${query}`)).json()[list].map((one: any) => one.ref.slice(5));
  for (const list of ['refs', 'versions'] as const) {
    expect((await refsOf(list, 'ref=release/*')).sort()).toEqual(['heads/release/1', 'tags/release/1']);
    expect(await refsOf(list, 'ref=refs/heads/rel*ase')).toEqual(['heads/rel_ase']);
    expect(await refsOf(list, 'ref=main')).toEqual(['heads/main']);
    expect(await refsOf(list, `commit=${commitOf(0xabcdef1).slice(0, 39)}`)).toEqual(['heads/main']);
  }
  expect(await refsOf('versions', 'ref=gone')).toEqual(['heads/gone', 'heads/gone']);
  expect((await world.ask(`/v1/codebases/${APP}/refs?commit=abcdef`)).json().code).toBe('commit-malformed');
});

test('more than the limit in a minute is a 429 that says when, of the one token', async () => {
  const small = await openWorld({ perMinute: 3 });
  try {
    const answers = [];
    for (let n = 0; n < 5; n += 1) answers.push(await small.ask('/v1/syncs'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429]);
    expect(answers[3]!.json()).toMatchObject({ status: 429, code: 'quota-exceeded' });
    expect(Number(answers[3]!.headers['retry-after'])).toBeGreaterThan(0);
    expect(answers[3]!.headers['content-type']).toContain('application/problem+json');
    // Who is not known is counted apart, and 401.
    expect((await small.ask('/v1/syncs', { headers: { authorization: 'Bearer made-up' } })).status).toBe(401);
  } finally {
    await small.stop();
  }
});

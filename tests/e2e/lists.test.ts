import { request as httpRequest } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });
afterEach(async () => { await system.gitlab.admin('DELETE', '/faults'); });

const MAIN = 'refs/heads/main';
let made = 0;

async function followed() {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: 'first' }]);
  const name = `lists-${(made += 1)}`;
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(id);
  await untilStored(system, codebase, MAIN, first);
  await until('the webhook stands', async () => (await get(`/v1/codebases/${codebase}`)).json<{ hook: { state: string } }>().hook.state === 'installed');
  const push = (content: string) => {
    const commit = repository.commit('main', [{ path: 'a', content }]);
    repository.git('push', '-q', 'origin', 'main');
    return commit;
  };
  return { repository, codebase, first, push };
}

const get = (path: string, headers: Record<string, string> = {}) => system.ask('GET', path, { headers });

describe('wait for my push', () => {
  test('a read with atLeast=<commit> of a push is answered in one call, with that commit', async () => {
    const { codebase, push } = await followed();
    for (const content of ['second', 'third', 'fourth']) {
      const commit = push(content);
      const answer = await get(`/v1/codebases/${codebase}/files/a?atLeast=${commit}&wait=30s`);
      expect([answer.status, answer.bytes.toString(), answer.headers.get('x-tekai-commit')]).toEqual([200, content, commit]);
    }
  });

  test.each(['refs', 'versions', 'tree', 'files/a', ''])('/%s waits, of the ref asked for', async (what) => {
    const { codebase, repository, first } = await followed();
    repository.git('push', '-q', 'origin', `${first}:refs/heads/other`);
    const at = `/v1/codebases/${codebase}${what === '' ? '' : `/${what}`}?ref=other&atLeast=${first}`;
    expect((await get(`${at}&wait=30s`)).status).toBe(200);
    expect((await get(at.replace('ref=other', 'ref=none'))).status).toBe(202);
  });

  test('what is not there is 202 with what is known, at once or when the time is over; a position and a cause are waited for too', async () => {
    const { codebase, first } = await followed();
    const nowhere = 'f'.repeat(40);
    const answer = await get(`/v1/codebases/${codebase}/files/a?atLeast=${nowhere}&wait=300ms`);
    expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('etag')]).toEqual([202, '1', null]);
    expect(answer.json()).toMatchObject({ code: 'not-yet', atLeast: nowhere, codebase, syncs: [], parked: [] });

    const { cause } = (await system.ask('POST', `/v1/codebases/${codebase}/syncs`, { body: {} })).json<{ cause: string }>();
    const refs = await get(`/v1/codebases/${codebase}/refs?atLeast=${cause}&wait=30s`);
    expect(refs.status).toBe(200);
    const [ref] = refs.json<{ refs: { commit: string; observedAt: string; position: string }[] }>().refs;
    const [asked] = (await eventsOf(system, `key=${codebase}&type=sync.requested`)) as unknown as { time: string; position: string }[];
    expect(ref?.commit).toBe(first);
    expect(ref!.observedAt >= asked!.time).toBe(true);
    expect((await get(`/v1/codebases/${codebase}/refs?atLeast=${asked!.position}`)).status).toBe(200);
  });

  test('a registration is waited for by its cause, from before anybody knows the codebase', async () => {
    const repository = await makeRepository();
    const commit = repository.commit('main', [{ path: 'a', content: 'x' }]);
    const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: `lists-${(made += 1)}`, import: repository.dir });
    const answer = await system.ask('POST', '/v1/codebases', { body: { sourceId: await system.sourceId(), gitlabProject: id } });
    const registered = answer.json<{ id: string; cause: string }>();
    const file = await get(`/v1/codebases/${registered.id}/files/a?atLeast=${registered.cause}&wait=30s`);
    expect([file.status, file.headers.get('x-tekai-commit')]).toEqual([200, commit]);
  });

  test('two pushes in a row: the first commit counts as reached once the ref has moved on past it', async () => {
    const { codebase, repository } = await followed();
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/api/', status: 502 });
    const commits = ['x', 'y', 'z'].map((content) => repository.commit('main', [{ path: 'a', content }]));
    for (const commit of commits) repository.git('push', '-q', 'origin', `${commit}:refs/heads/main`);
    await until('all three were told', async () => (await eventsOf(system, `key=${codebase}&type=push.received`)).length === 3);
    await system.gitlab.admin('DELETE', '/faults');
    for (const commit of commits) {
      const answer = await get(`/v1/codebases/${codebase}/files/a?atLeast=${commit}&wait=30s`);
      expect(answer.status).toBe(200);
    }
    expect((await get(`/v1/codebases/${codebase}/files/a`)).bytes.toString()).toBe('z');
  });

  test.each([['atLeast=x', 'at-least-malformed'], ['atLeast=12345678-1&wait=1s', 'position-of-another-log'], [`atLeast=${'a'.repeat(40)}&wait=31s`, 'wait-malformed'], [`atLeast=${'a'.repeat(40)}&wait=-1`, 'wait-malformed'], ['wait=1s', 'wait-for-what']])('%s is refused', async (query, code) => {
    const { codebases } = (await get('/v1/codebases')).json<{ codebases: { id: string }[] }>();
    expect((await get(`/v1/codebases/${codebases[0]!.id}/refs?${query}`)).json<{ code: string }>().code).toBe(code);
  });
});

describe('where versions came from', () => {
  test('author, message, delivery and the time of each step; odd commits break nothing', async () => {
    const { codebase, repository } = await followed();
    const tree = repository.git('rev-parse', 'main^{tree}').trim();
    const parent = repository.git('rev-parse', 'main').trim();
    const raw = Buffer.concat([
      Buffer.from(`tree ${tree}\nparent ${parent}\nauthor J\u00fcrgen `, 'latin1'), Buffer.from('<j@example.com> 1700000000 +0100\n'),
      Buffer.from('committer C <c@example.com> 1700000100 -0230\nencoding ISO-8859-1\n\nGr\u00fc\u00dfe \u00e9\n\nmore\n', 'latin1'),
    ]);
    const commit = hashObject(repository, raw);
    repository.git('push', '-q', 'origin', `${commit}:refs/heads/main`);
    expect((await get(`/v1/codebases/${codebase}/tree?atLeast=${commit}&wait=30s`)).status).toBe(200);
    const broken = hashObject(repository, Buffer.concat([Buffer.from(`tree ${tree}\nparent ${commit}\nauthor X <x@x> 1700000000 +0000\ncommitter X <x@x> 1700000000 +0000\n\n`), Buffer.from([0xff, 0xfe, 0x41, 0x0a])]));
    repository.git('push', '-q', 'origin', `${broken}:refs/heads/broken`);
    expect((await get(`/v1/codebases/${codebase}/tree?ref=broken&atLeast=${broken}&wait=30s`)).status).toBe(200);

    const [version] = (await get(`/v1/codebases/${codebase}/versions?commit=${commit.slice(0, 7)}`)).json<{ versions: any[] }>().versions;
    expect(version).toMatchObject({ commit, ref: MAIN, details: { author: { name: 'J\u00fcrgen', email: 'j@example.com', time: '2023-11-14T22:13:20.000Z' }, committer: { name: 'C', time: '2023-11-14T22:15:00.000Z' }, subject: 'Gr\u00fc\u00dfe \u00e9', message: 'Gr\u00fc\u00dfe \u00e9\n\nmore\n', isMessageCut: false }, broughtBy: { type: 'push.received' } });
    expect(version.steps.fetchMs + version.steps.scanMs + version.steps.storeMs).toBe(version.steps.totalMs);
    const refs = (await get(`/v1/codebases/${codebase}/refs?ref=b*`)).json<{ refs: any[] }>().refs;
    expect(refs).toMatchObject([{ ref: 'refs/heads/broken', commit: broken, isParked: false, details: { subject: '\ufffd\ufffdA' } }]);
    const all = (await get(`/v1/codebases/${codebase}/versions?ref=refs/heads/*`)).json<{ versions: any[] }>().versions;
    expect(all.map((one) => one.broughtBy.type)).toEqual(['push.received', 'push.received', 'codebase.registered']);

    // What brought it is there to look at: understood, and as it came.
    const delivery = (await get(`/v1/deliveries/${version.broughtBy.delivery}`)).json<any>();
    expect(delivery).toMatchObject({ kind: 'push', codebaseId: codebase, refs: [{ ref: MAIN, after: commit }], syncs: [{ id: version.sync, state: 'stored' }] });
    expect(Object.keys(delivery.kept.headers)).toContain('x-gitlab-event');
    expect(JSON.stringify(delivery.kept.headers)).not.toMatch(/token|signature/i);
    const body = await get(delivery.kept.bodyUrl);
    expect([body.status, body.bytes.length, body.json<any>().checkout_sha ?? body.json<any>().after, body.headers.get('etag')]).toEqual([200, delivery.body.bytes, commit, `"${delivery.body.sha256}"`]);
    expect((await get(`/v1/deliveries?codebase=${codebase}&kind=push`)).json<any>().deliveries.map((one: any) => one.refs[0].after)).toEqual([broken, commit]);
    expect((await get('/v1/deliveries?kind=word')).json<any>().code).toBe('filter-malformed');
    expect((await get(`/v1/deliveries/${codebase}`)).status).toBe(404);
  });
});

describe('lists', () => {
  test('are read by following next, and a cursor of another question or list is refused with what to do', async () => {
    const { codebase, push } = await followed();
    for (const content of ['1', '2', '3']) expect((await get(`/v1/codebases/${codebase}/refs?atLeast=${push(content)}&wait=30s`)).status).toBe(200);
    for (const [address, name, count] of [[`/v1/codebases/${codebase}/versions`, 'versions', 4], [`/v1/syncs?codebase=${codebase}`, 'syncs', 4], [`/v1/deliveries?codebase=${codebase}`, 'deliveries', 3], ['/v1/codebases', 'codebases', undefined]] as const) {
      const seen: string[] = [];
      let link: string | null = `${address}${address.includes('?') ? '&' : '?'}limit=1`;
      while (link !== null) {
        const page = await get(link);
        expect(page.status).toBe(200);
        const { [name]: items, next } = page.json<any>();
        expect(page.headers.get('link')).toBe(next === null ? null : `<${next}>; rel="next"`);
        seen.push(...items.map((one: object) => JSON.stringify(one)));
        link = next;
      }
      expect(new Set(seen).size).toBe(seen.length);
      const whole = (await get(address)).json<any>()[name];
      expect(seen).toHaveLength(count ?? whole.length);
    }
    const { next } = (await get(`/v1/syncs?codebase=${codebase}&limit=1`)).json<{ next: string }>();
    const cursor = new URL(next, 'http://x').searchParams.get('after');
    const codeOf = async (address: string) => { const answer = await get(address); return [answer.status, answer.json<{ code: string }>().code]; };
    expect(await codeOf(`/v1/syncs?after=${cursor}`)).toEqual([400, 'cursor-of-another-question']);
    expect(await codeOf(`/v1/codebases?after=${codebase}`)).toEqual([400, 'cursor-malformed']);
    expect((await get('/v1/syncs?state=stored,skipped&limit=1')).status).toBe(200);
    expect(await codeOf('/v1/syncs?state=lost')).toEqual([400, 'filter-malformed']);
    const two = await eventsOf(system, `key=${codebase}&type=push.received,codebase.stored`);
    expect(new Set(two.map(({ type }) => type))).toEqual(new Set(['push.received', 'codebase.stored']));
    const upTo = await eventsOf(system, `key=${codebase}&until=${two[0]!.position}`);
    expect(upTo.at(-1)!.position).toBe(two[0]!.position);
  });
});

describe('manners', () => {
  test('a list that did not change is 304, compressed or not, with strong tags that differ', async () => {
    const { codebase } = await followed();
    await until('nothing is under way', async () => (await get(`/v1/codebases/${codebase}`)).json<any>().refsUnderWay === 0);
    const address = `/v1/syncs?codebase=${codebase}`;
    const tags = new Set<string>();
    for (const coding of ['identity', 'gzip', 'br']) {
      const whole = await raw('GET', address, { 'accept-encoding': coding });
      const tag = whole.headers['etag'] ?? '';
      tags.add(tag);
      expect([whole.status, tag.startsWith('"'), whole.headers['cache-control'], whole.headers['content-encoding'] ?? 'identity']).toEqual([200, true, 'private, no-cache', whole.headers['content-encoding'] === undefined ? 'identity' : coding]);
      const again = await raw('GET', address, { 'accept-encoding': coding, 'if-none-match': `"other", ${tag}` });
      expect([again.status, again.body.length, again.headers['etag']]).toEqual([304, 0, tag]);
    }
    const big = await raw('GET', '/v1/events?limit=100', { 'accept-encoding': 'gzip' });
    expect([big.headers['content-encoding'], big.headers['etag']]).toEqual(['gzip', expect.stringMatching(/-gzip"$/)]);
    expect(JSON.parse(gunzipSync(big.body).toString()).events.length).toBeGreaterThan(10);
    // The bytes of files are theirs.
    const file = await raw('GET', `/v1/codebases/${codebase}/files/a`, { 'accept-encoding': 'gzip' });
    expect([file.headers['content-encoding'], file.headers['content-length']]).toEqual([undefined, '5']);
  });

  test('limits are told below /v1 and nowhere else; OPTIONS and 405 name what an address takes', async () => {
    const lists = await get('/v1/syncs');
    expect([lists.headers.get('ratelimit-policy'), lists.headers.get('ratelimit')]).toEqual([expect.stringContaining('q=120000; w=60'), expect.stringContaining('r=')]);
    expect((await get('/readyz')).headers.get('ratelimit')).toBeNull();
    const [codebase] = (await get('/v1/codebases')).json<any>().codebases;
    for (const [method, path, status, allow] of [
      ['OPTIONS', '/v1/codebases', 204, 'GET, HEAD, OPTIONS, POST'], ['OPTIONS', `/v1/codebases/${codebase.id}/files/x/y`, 204, 'GET, HEAD, OPTIONS'],
      ['DELETE', '/v1/events', 405, 'GET, HEAD, OPTIONS'], ['PUT', `/v1/codebases/${codebase.id}/tree`, 405, 'GET, HEAD, OPTIONS'], ['GET', '/v1/parked/g/k/redrive', 405, 'OPTIONS, POST'],
      ['PUT', '/v1/projects/x', 405, 'DELETE, GET, HEAD, OPTIONS, PATCH'], ['GET', '/v1/source-checks', 405, 'OPTIONS, POST'],
    ] as const) {
      const answer = await system.ask(method, path);
      expect([method, path, answer.status, answer.headers.get('allow')]).toEqual([method, path, status, allow]);
    }
    const head = await raw('HEAD', '/v1/syncs', {});
    expect([head.status, head.body.length, Number(head.headers['content-length']) > 0]).toEqual([200, 0, true]);
    expect((await system.ask('OPTIONS', '/v1/nothing')).status).toBe(404);
  });
});

function hashObject(repository: Awaited<ReturnType<typeof makeRepository>>, content: Buffer): string {
  return repository.gitBytes(['hash-object', '-t', 'commit', '-w', '--stdin'], content).toString('utf8').trim();
}

function raw(method: string, path: string, headers: Record<string, string>): Promise<{ status: number; headers: Record<string, string | undefined>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${system.url}${path}`, { method, headers: { authorization: `Bearer ${system.token}`, connection: 'close', ...headers } }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string | undefined>, body: Buffer.concat(pieces) }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

import { Unavailable } from '#shared/runtime/unavailable.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitbeakerGitLab } from './gitbeaker-gitlab.ts';
import { obstacleOf } from './gitbeaker-obstacle.ts';
import { placeAsText, placeFromText } from './list-pages.ts';
import { say, startScriptedServer, type Script } from './scripted-server.contract.ts';

async function withServer<T>(script: Script, use: (gitlab: ReturnType<typeof createGitbeakerGitLab>) => Promise<T>): Promise<T> {
  const server = await startScriptedServer(script);
  try {
    return await use(createGitbeakerGitLab({ baseUrl: server.url, token: 'glpat-x', caPem: undefined, proxyUrl: undefined }, { addresses: THIS_MACHINE, sleep: async () => undefined, bounds: { triesMax: 1 } }));
  } finally {
    await server.stop();
  }
}
const GROUP = { id: 1, full_path: 'g', name: 'g', visibility: 'private' };

test('a short page with more counted behind it is a cut page, not the last (I8)', async () => {
  await withServer((response) => say(response, 200, [GROUP], { 'x-total': '7' }), async (gitlab) => {
    await expect(gitlab.groups({ limit: 5 })).rejects.toThrow(Unavailable);
  });
});

test('a full page without a Link is followed by another, and a short one with a Link too', async () => {
  await withServer((response) => say(response, 200, [GROUP, GROUP]), async (gitlab) => {
    expect(await gitlab.groups({ limit: 2 })).toMatchObject({ value: { next: { page: 2, perPage: 2 } } });
    expect(await gitlab.groups({ limit: 5 })).toMatchObject({ value: { next: null } });
  });
  await withServer((response) => say(response, 200, [GROUP], { link: '<http://inner:1/x?page=2>; rel="next"' }), async (gitlab) => {
    expect(await gitlab.groups({ limit: 5 })).toMatchObject({ value: { next: { page: 2, perPage: 5 } } });
  });
});

test('a list that is none, or holds a broken entry, is no page', async () => {
  for (const body of [{}, [GROUP, { id: 2 }], [null]]) {
    await withServer((response) => say(response, 200, body), async (gitlab) => { await expect(gitlab.groups({ limit: 5 })).rejects.toThrow(Unavailable); });
  }
});

test('a place in a list is read only as it was given', () => {
  expect(placeFromText(placeAsText({ page: 3, perPage: 100 }))).toEqual({ page: 3, perPage: 100 });
  for (const text of ['', '0x5', '1x0', '1x101', '1x', 'x1', '1x5 ', '-1x5', '1e3x5']) expect(placeFromText(text)).toBeUndefined();
});

test.each([
  ['ENOTFOUND', 'getaddrinfo ENOTFOUND x', false, 'name'], ['ENOTFOUND', 'getaddrinfo ENOTFOUND x', true, 'proxy'], ['ECONNREFUSED', '', false, 'connection'], ['ECONNREFUSED', '', true, 'proxy'],
  ['UND_ERR_ABORTED', 'Proxy response (407) !== 200 when HTTP Tunneling', true, 'proxy-login'], ['UND_ERR_ABORTED', 'Proxy response (503) !== 200 when HTTP Tunneling', true, 'proxy'],
  ['SELF_SIGNED_CERT_IN_CHAIN', '', true, 'authority'], ['CERT_HAS_EXPIRED', '', false, 'tls'], ['ERR_TLS_CERT_ALTNAME_INVALID', '', false, 'tls'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', '', true, 'client-certificate'], ['UND_ERR_SOCKET', 'other side closed', true, 'cut'],
  ['UND_ERR_CONNECT_TIMEOUT', '', false, 'timeout'], ['UND_ERR_HEADERS_TIMEOUT', '', true, 'timeout'],
] as const)('%s (%s) with a proxy: %s is the obstacle %s', (code, message, hasProxy, obstacle) => {
  expect(obstacleOf({ code, message, hasProxy })).toBe(obstacle);
});

const idsOf = (from: number, count: number) => Array.from({ length: count }, (_, n) => ({ id: from + n }));

test('a person\'s own projects are listed to the end by their ids, as their membership says, with no more of them than which they are', async () => {
  const asked: object[] = [];
  const own = await withServer((response, request) => {
    const at = new URL(request.url ?? '', 'http://x');
    asked.push(Object.fromEntries(at.searchParams));
    const after = Number(at.searchParams.get('id_after') ?? 0);
    const page = idsOf(after + 1, after === 0 ? 100 : after === 100 ? 30 : 0);
    at.searchParams.set('id_after', String(page.at(-1)?.id));
    say(response, 200, page, page.length === 0 ? {} : { link: `<http://inner:1${at.pathname}${at.search}>; rel="next"` });
  }, (gitlab) => gitlab.ownProjects({ minLevel: 20 }));
  expect(own).toEqual({ kind: 'ok', value: idsOf(1, 130).map(({ id }) => id) });
  expect(asked).toEqual([undefined, '100', '130'].map((after) => ({ membership: 'true', min_access_level: '20', simple: 'true', pagination: 'keyset', order_by: 'id', sort: 'asc', per_page: '100', ...(after === undefined ? {} : { id_after: after }) })));
});

test.each<[string, (page: number) => [number, unknown]]>([
  ['fails on its second page', (page) => (page === 1 ? [200, idsOf(1, 100)] : [502, {}])],
  ['is throttled on its second page', (page) => (page === 1 ? [200, idsOf(1, 100)] : [429, {}])],
  ['is none', () => [200, {}]],
  ['names something that is no project', () => [200, [{ id: 1 }, { name: 'x' }]]],
])('a list of a person\'s own projects that %s is no list (I8)', async (_what, script) => {
  let page = 0;
  await withServer((response) => { page += 1; const [status, body] = script(page); say(response, status, body, { link: `<http://x/?id_after=${page * 100}>; rel="next"` }); }, async (gitlab) => {
    await expect(gitlab.ownProjects({ minLevel: 20 })).rejects.toThrow(Unavailable);
  });
});

test('that nobody is a member is believed only in GitLab\'s words for it', async () => {
  const asked = (status: number, body: unknown) => withServer((response) => say(response, status, body), (gitlab) => gitlab.member(7 as never, 5));
  expect(await asked(404, { message: '404 Not found' })).toEqual({ kind: 'ok', value: null });
  expect(await asked(200, { id: 5, access_level: 20, state: 'active', expires_at: null })).toEqual({ kind: 'ok', value: { userId: 5, level: 20, isActive: true, expiresAt: null } });
  // A GitLab that has no such address, and a project that is not shown.
  for (const body of [{ error: '404 Not Found' }, { message: '404 Project Not Found' }]) expect(await asked(404, body)).toMatchObject({ kind: 'absent' });
  await expect(asked(200, { id: 6, access_level: 20, state: 'active', expires_at: null })).rejects.toThrow(Unavailable);
});

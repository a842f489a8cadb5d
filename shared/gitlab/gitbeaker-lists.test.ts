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

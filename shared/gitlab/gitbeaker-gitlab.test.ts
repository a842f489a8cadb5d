import { gitlabProjectId, refName } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { THIS_MACHINE } from '#tests/harness/this-machine.ts';
import { createGitbeakerGitLab, createGitbeakerOpener, REQUESTS_IN_FLIGHT_MAX, type GitbeakerOptions } from './gitbeaker-gitlab.ts';
import { gitLabContract } from './gitlab.contract.ts';
import { GitLabRequestError } from './gitlab.ts';
import { createMemoryRequestHolds } from './memory-request-holds.ts';
import { say, startScriptedServer, type Script, type ScriptedServer } from './scripted-server.contract.ts';

/** Waits take no time, and are written down. */
const QUICK: GitbeakerOptions = { addresses: THIS_MACHINE, sleep: async () => undefined, random: () => 0 };

gitLabContract('gitbeaker', createGitbeakerOpener(QUICK));

const TOKEN = 'glpat-canary-7f3a';
const ID = gitlabProjectId.parse(1);
const MAIN = refName.parse('refs/heads/main');
const HEAD = 'a'.repeat(40);
const PROJECT = { id: 1, path_with_namespace: 'g/p', default_branch: 'main', empty_repo: false, visibility: 'private', http_url_to_repo: 'http://gitlab.example/g/p.git' };
const HOOK = { url: 'https://engine.example/h', token: 'hook-canary-1', signingToken: 'whsec_canary2' };

describe('GitLab by gitbeaker', () => {
  const servers: ScriptedServer[] = [];
  const serve = async (script: Script) => {
    const server = await startScriptedServer(script);
    servers.push(server);
    return server;
  };
  const open = (server: ScriptedServer, options: GitbeakerOptions = QUICK) =>
    createGitbeakerGitLab({ baseUrl: server.url, token: TOKEN, caPem: undefined, proxyUrl: undefined }, options);
  const faultOf = (promise: Promise<unknown>) => promise.then(() => { throw new Error('this should have failed'); }, (cause: unknown) => cause as Unavailable);
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

  describe('asks with patience', () => {
    test('the token goes as a Bearer, and as nothing else', async () => {
      const server = await serve((response) => say(response, 200, PROJECT));
      await open(server).project(ID);
      expect(server.heard[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
      expect(server.heard[0]?.headers['private-token']).toBeUndefined();
    });

    test('a GET is tried three times, with seconds between; then it is Unavailable', async () => {
      const waits: number[] = [];
      const server = await serve((response) => say(response, 502, {}));
      const fault = await faultOf(open(server, { ...QUICK, sleep: async (ms) => { waits.push(ms); } }).project(ID));
      expect(fault).toBeInstanceOf(Unavailable);
      expect(server.heard).toHaveLength(3);
      expect(waits).toEqual([500, 1_000]);
    });

    test('a short Retry-After is waited for in place, a long one is handed on at once', async () => {
      const waits: number[] = [];
      let isShort = true;
      const server = await serve((response) => (isShort ? say(response, 429, {}, { 'retry-after': '2' }) : say(response, 429, {}, { 'retry-after': '30' })));
      const gitlab = open(server, { ...QUICK, sleep: async (ms) => { waits.push(ms); } });
      await faultOf(gitlab.project(ID));
      expect(waits).toEqual([2_000, 2_000]);

      isShort = false;
      const asked = server.heard.length;
      expect((await faultOf(gitlab.project(ID))).retryAfterMs).toBe(30_000);
      expect(server.heard.length).toBe(asked + 1);
    });

    test('a pause that was asked for is kept by every process with that token, also by a POST; the limit of one endpoint by who met it', async () => {
      const paused = { 'retry-after': '30' };
      const server = await serve((response, { url }) => say(response, url?.endsWith('/1') ? 429 : 200, PROJECT, url?.endsWith('/1') ? paused : {}));
      const holds = createMemoryRequestHolds();
      const [here, there] = [open(server, { ...QUICK, holds }), open(server, { ...QUICK, holds })];
      const other = createGitbeakerGitLab({ baseUrl: server.url, token: 'glpat-another', caPem: undefined, proxyUrl: undefined }, { ...QUICK, holds });
      await faultOf(here.project(ID));
      const asked = server.heard.length;
      for (const asking of [there.project('g/p'), there.createHook(ID, HOOK)]) {
        const fault = await faultOf(asking);
        expect(fault.retryAfterMs).toBeGreaterThan(20_000);
        expect(fault.message).toContain('a pause (429)');
      }
      expect(server.heard).toHaveLength(asked);
      await other.project('g/p');
      expect(server.heard).toHaveLength(asked + 1);

      const limited = await serve((response, { url }) => (url?.endsWith('/1') ? say(response, 429, {}) : say(response, 200, PROJECT)));
      await faultOf(open(limited, { ...QUICK, holds }).project(ID));
      await open(limited, { ...QUICK, holds }).project('g/p');
    });

    test('a Retry-After of days is cut to an hour, one with a date is read', async () => {
      let retryAfter = '9999999';
      const server = await serve((response) => say(response, 503, {}, { 'retry-after': retryAfter }));
      expect((await faultOf(open(server).project(ID))).retryAfterMs).toBe(3_600_000);
      retryAfter = new Date(90_000).toUTCString();
      expect((await faultOf(open(server, { ...QUICK, now: () => new Date(30_000) }).project(ID))).retryAfterMs).toBe(60_000);
    });

    test.each([500, 502, 503, 429])('a POST or PUT that meets a %d is not sent again', async (status) => {
      const server = await serve((response) => say(response, status, {}));
      expect(await faultOf(open(server).createHook(ID, HOOK))).toBeInstanceOf(Unavailable);
      expect(await faultOf(open(server).updateHook(ID, 7, HOOK))).toBeInstanceOf(Unavailable);
      expect(server.heard.map(({ method }) => method)).toEqual(['POST', 'PUT']);
    });

    test('a POST whose connection dies is not sent again', async () => {
      const server = await serve((response) => response.destroy());
      expect(await faultOf(open(server).createHook(ID, HOOK))).toBeInstanceOf(Unavailable);
      expect(server.heard).toHaveLength(1);
    });

    test('a server that never answers, or stops within an answer, is given up', async () => {
      let isSilent = true;
      const server = await serve((response) => {
        if (isSilent) return;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"id": 1,');
      });
      const options: GitbeakerOptions = { ...QUICK, bounds: { idleMs: 50, triesMax: 1 } };
      expect(await faultOf(open(server, options).project(ID))).toBeInstanceOf(Unavailable);
      isSilent = false;
      expect(await faultOf(open(server, options).project(ID))).toBeInstanceOf(Unavailable);
    });

    test('a server that answers one byte at a time is given up in total', async () => {
      const server = await serve((response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(drip));
      });
      const fault = await faultOf(open(server, { ...QUICK, bounds: { totalMs: 200 } }).project(ID));
      expect(fault.message).toMatch(/no answer within 200 ms/);
    });

    test('nobody listening is Unavailable', async () => {
      const server = await serve((response) => say(response, 200, PROJECT));
      await server.stop();
      expect(await faultOf(open(server).project(ID))).toBeInstanceOf(Unavailable);
    });

    test(`no more than ${REQUESTS_IN_FLIGHT_MAX} requests are under way at a time`, async () => {
      let now = 0;
      let most = 0;
      const server = await serve((response) => {
        now += 1;
        most = Math.max(most, now);
        // Long enough for all that may come to come.
        setTimeout(() => { now -= 1; say(response, 200, PROJECT); }, 100);
      });
      const gitlab = open(server);
      await Promise.all(Array.from({ length: REQUESTS_IN_FLIGHT_MAX * 3 }, () => gitlab.project(ID)));
      expect(most).toBe(REQUESTS_IN_FLIGHT_MAX);
    });
  });

  describe('follows redirects by hand', () => {
    test('within the origin the credential goes along', async () => {
      const server = await serve((response, _, { url }) =>
        (url.includes('g%2Fold') ? response.writeHead(302, { location: '/api/v4/projects/1' }).end() : say(response, 200, PROJECT)));
      expect(await open(server).project('g/old')).toMatchObject({ kind: 'ok' });
      expect(server.heard[1]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    });

    test('to another origin it does not, and what is said there without it is no refusal', async () => {
      const other = await serve((response) => say(response, 401, { message: '401 Unauthorized' }));
      const server = await serve((response) => { response.writeHead(302, { location: `${other.url}/api/v4/projects/1` }).end(); });
      const fault = await faultOf(open(server).project(ID));
      expect(fault).toBeInstanceOf(Unavailable);
      expect(fault.message).toContain(`register the source under that address`);
      expect(other.heard.length).toBeGreaterThan(0);
      for (const { headers } of other.heard) expect(JSON.stringify(headers)).not.toContain(TOKEN);
    });

    test('not back again either, once it was dropped', async () => {
      const other = await serve((response, _, { url }) => { response.writeHead(302, { location: `${server.url}/back${url}` }).end(); });
      const server: ScriptedServer = await serve((response, _, { url }) =>
        (url.startsWith('/back') ? say(response, 200, PROJECT) : response.writeHead(302, { location: `${other.url}/x` }).end()));
      await open(server).project(ID);
      expect(server.heard.find(({ url }) => url.startsWith('/back'))?.headers.authorization).toBeUndefined();
    });

    test('three times at most, and never of a POST', async () => {
      const server = await serve((response, _, { url }) => { response.writeHead(302, { location: `${url}x` }).end(); });
      expect((await faultOf(open(server, { ...QUICK, bounds: { triesMax: 1 } }).project(ID))).message).toMatch(/more than 3 times/);
      expect(server.heard).toHaveLength(4);
      expect(await faultOf(open(server).createHook(ID, HOOK))).toBeInstanceOf(Unavailable);
      expect(server.heard).toHaveLength(5);
    });
  });

  describe('believes only what GitLab says (I8)', () => {
    test.each([401, 403, 404])('a %d with HTML or plain text is not an answer', async (status) => {
      const server = await serve((response) => { response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>no</h1>'); });
      expect(await faultOf(open(server).project(ID))).toBeInstanceOf(Unavailable);
    });

    test.each([
      ['a page of HTML', 'text/html', '<html>'],
      ['HTML that calls itself JSON', 'application/json', '<html>'],
      ['a list for a project', 'application/json', '[]'],
      ['a project of another id', 'application/json', JSON.stringify({ ...PROJECT, id: 2 })],
      ['a project without a word on being empty', 'application/json', JSON.stringify({ ...PROJECT, empty_repo: undefined })],
      ['nothing', 'application/json', ''],
      ['null', 'application/json', 'null'],
    ])('%s is Unavailable', async (_, type, body) => {
      const server = await serve((response) => { response.writeHead(200, { 'content-type': type }).end(body); });
      expect(await faultOf(open(server).project(ID))).toBeInstanceOf(Unavailable);
    });

    test('a branch of another name is Unavailable', async () => {
      const server = await serve((response) => say(response, 200, { name: 'other', commit: { id: HEAD } }));
      expect(await faultOf(open(server).head(ID, MAIN))).toBeInstanceOf(Unavailable);
    });

    test('a list that is an object, or holds one broken entry, is no list', async () => {
      let body: unknown = {};
      const server = await serve((response) => say(response, 200, body));
      expect(await faultOf(open(server).heads(ID, { withTags: false }))).toBeInstanceOf(Unavailable);
      body = [{ name: 'main', commit: { id: HEAD } }, { name: 'x', commit: null }];
      expect(await faultOf(open(server).heads(ID, { withTags: false }))).toBeInstanceOf(Unavailable);
    });

    test('of a Link only the query counts, and pages that go round in a circle are no list', async () => {
      const page = (name: string) => [{ name, commit: { id: HEAD } }];
      const server = await serve((response, _, { url }) => (url.includes('page_token=b')
        ? say(response, 200, page('b'))
        : say(response, 200, page('a'), { link: '<http://gitlab.internal:8181/elsewhere?page_token=b&per_page=100>; rel="next"' })));
      expect(await open(server).heads(ID, { withTags: false })).toMatchObject({ value: [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/b' }] });

      const circle = await serve((response) => say(response, 200, page('a'), { link: '<http://x/?page_token=b>; rel="next"' }));
      expect((await faultOf(open(circle).heads(ID, { withTags: false }))).message).toMatch(/circle/);
    });

    test('a full page without a Link is not taken for the last', async () => {
      const names = Array.from({ length: 130 }, (_, at) => ({ name: `b${at}`, commit: { id: HEAD } }));
      const server = await serve((response, _, { url }) => say(response, 200, /[?&]page=2/.test(url) ? names.slice(100) : names.slice(0, 100)));
      const heads = await open(server).heads(ID, { withTags: false });
      expect(heads.kind === 'ok' && heads.value.length).toBe(130);
    });

    test('an answer without an end is given up', async () => {
      const server = await serve((response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const flood = () => { while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20))); };
        response.on('drain', flood);
        flood();
      });
      const fault = await faultOf(open(server, { ...QUICK, bounds: { answerBytesMax: 1_000_000, triesMax: 1 } }).project(ID));
      expect(fault.message).toMatch(/more than 1000000 bytes/);
    });

    test('a hook that GitLab will not have is told with its words and without our secrets', async () => {
      const server = await serve((response, _, { body }) => {
        const { token, signing_token } = JSON.parse(body) as Record<string, string>;
        // The second secret straddles the place where a long refusal is cut.
        say(response, 422, { message: { url: ['is blocked: local network'], token, more: 'x'.repeat(405), signing_token } });
      });
      const fault = await faultOf(open(server).createHook(ID, HOOK));
      expect(fault).toBeInstanceOf(GitLabRequestError);
      expect(fault.message).toMatch(/create a webhook of project 1.*422.*local network/);
      expect(fault.message).not.toMatch(/hook-canary|whsec_/);
    });

    test('a version is asked where older GitLab has it', async () => {
      const server = await serve((response, _, { url }) => (url.endsWith('/version') ? say(response, 200, { version: '14.0.0' }) : say(response, 404, { error: '404 Not Found' })));
      expect(await open(server).version()).toEqual({ kind: 'ok', value: '14.0.0' });
    });
  });

  test('secrets are in no error, whatever the server says back (I9)', async () => {
    let status = 403;
    const server = await serve((response, request) => say(response, status, { message: `no: ${request.headers.authorization}` }));
    const answer = await open(server).project(ID);
    status = 500;
    const fault = await faultOf(open(server).project(ID));
    expect(JSON.stringify(answer) + fault.message + String(fault.stack) + JSON.stringify(fault)).not.toContain(TOKEN);
  });
});

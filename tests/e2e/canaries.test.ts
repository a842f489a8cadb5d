import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createCanaries, filesBelow, hasProc, processesOf, rowsOf } from '../harness/canaries.ts';
import { startForwardProxy, type ForwardProxy } from '../harness/forward-proxy.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../harness/otlp-receiver.ts';
import { startOpenIdProvider, type OpenIdProvider } from '../harness/openid-provider.ts';
import { makeRepository, type Repository } from '../harness/repository.ts';
import { signedHeaders } from '../harness/signed-delivery.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

// Canaries are put in at every entrance, and looked for wherever something comes out (I9). Where one may stand is said here and nowhere else.

const canaries = createCanaries();
const secret = (name: string, value?: string) => canaries.plant('secret', name, value);
const person = (name: string) => canaries.plant('person', name);

const IN = {
  webhookToken: secret('webhook token'), signingToken: secret('signing token', `whsec_${randomBytes(32).toString('base64')}`),
  proxyPassword: secret('password of the proxy'), password: secret('password'), collectorKey: secret('key of the collector'),
  nobodysToken: secret('token of nobody'), queryToken: secret('token in an address'), frameToken: secret('token in a frame'), basic: secret('Basic login'),
  wrongPassword: secret('wrong password'), passwordAsName: secret('password typed as a name'), wrongHook: secret('wrong webhook secret'), wrongGitLabToken: secret('GitLab token that is refused'),
  applicationSecret: secret('secret of the application in GitLab'), authorizationCode: secret('code of GitLab'), errorOfGitLab: secret('what a browser brings'), wrongHandle: secret('handle of nobody'), wrongCode: secret('code typed in a terminal'),
  unreachableProxy: secret('password of a proxy that is not there'), urlPassword: secret('password in the address of a GitLab'), keyPem: secret('client key'),
  // As long as V8 repeats whole in what it says of a text that is no JSON.
  malformed: secret('body that is no JSON', `canary-${randomBytes(6).toString('hex')}`), wrongType: secret('token of a wrong type'), spilled: secret('token in a delivery that is no JSON'),
};
const PEOPLE = { signInName: person('name to sign in by'), pusher: person('name in a hook'), mail: `${person('address in a hook')}@example.com`, author: person('author'), authorMail: `${person('address of the author')}@example.com`, message: person('message of a commit') };
/** The operator gives them, and they stand in the environment of what the operator starts. */
const GIVEN_BY_ENVIRONMENT = ['key of the collector'];

/** Core tables where something of a person may stand; nothing secret stands anywhere. */
const MAY_STAND: Readonly<Record<string, RegExp>> = {
  'name to sign in by': /^identity_users$/,
  'name in a hook': /^deliveries(?:_|$)/, 'address in a hook': /^deliveries(?:_|$)/, 'author': /^deliveries(?:_|$)/, 'address of the author': /^deliveries(?:_|$)/, 'message of a commit': /^deliveries(?:_|$)/,
};

const MAIN = 'refs/heads/main';
const MARKER = `marker-${randomBytes(6).toString('hex')}`;
const answers: string[] = [];
const processes = { argv: new Set<string>(), environ: new Set<string>() };

let [receiver, proxy, system, repository, hook, signsIn]: [OtlpReceiver, ForwardProxy, System, Repository, Server, OpenIdProvider] = [] as never;
let [source, codebase, refreshed] = ['', '', ''];

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  proxy = await startForwardProxy({ credentials: { user: 'tekai', password: IN.proxyPassword } });
  hook = createServer((request, response) => response.writeHead(500).end(`signed ${String(request.headers['webhook-signature'])}`)).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  system = await startSystem({ settings: { TEKAI_LOG_LEVEL: 'debug', TEKAI_POLL_PEOPLE_SECONDS: '1', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${IN.collectorKey}`, OTEL_BSP_SCHEDULE_DELAY: '100' } });
  signsIn = await startOpenIdProvider(system.gitlab);
  secret('GitLab token', system.gitlab.token);
  secret('the engine\'s own token', system.token);
  for (const key of (await readFile(path.join(system.stateDir, 'secrets.key'), 'utf8')).trim().split('\n')) canaries.plantBytes('key of the vault', Buffer.from(key, 'hex'));
  repository = await makeRepository();
});
afterAll(async () => {
  await system.stop();
  await Promise.all([receiver.stop(), proxy.stop(), signsIn.stop()]);
  hook.close();
});

/** As the harness asks; the answer is one of those that are searched. */
const asked: System['ask'] = async (method, path, options) => {
  const answer = await system.ask(method, path, options);
  answers.push(`${method} ${path.split('?')[0]}: ${answer.status}\n${JSON.stringify([...answer.headers])}\n${answer.bytes.toString()}`);
  return answer;
};
const mustBe = (status: number, answer: Awaited<ReturnType<System['ask']>>) => {
  if (answer.status !== status) throw new Error(`${answer.status} in place of ${status}: ${answer.bytes.toString()}`);
  return answer;
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** What the engine hands out is a canary from then on; the one answer that hands it out is not searched. */
async function handedOut(names: Record<string, string>, ...ask: Parameters<System['ask']>): Promise<any> {
  const answer = await system.ask(...ask);
  const body = answer.json();
  for (const [field, name] of Object.entries(names)) secret(name, body[field]);
  return { ...body, status: answer.status };
}

async function signIn(): Promise<void> {
  const made = await handedOut({ oneTimePassword: 'one-time password' }, 'POST', '/v1/users', { body: { name: PEOPLE.signInName, isSystemAdmin: true } });
  const signedIn = await handedOut({ accessToken: 'access token', refreshToken: 'refresh token' }, 'POST', '/v1/auth/login', { body: { name: PEOPLE.signInName, password: made.oneTimePassword, newPassword: IN.password } });
  const again = await handedOut({ accessToken: 'second access token', refreshToken: 'second refresh token' }, 'POST', '/v1/auth/refresh', { body: { refreshToken: signedIn.refreshToken } });
  const { accessToken } = again;
  refreshed = signedIn.refreshToken;
  const { token, id } = await handedOut({ token: 'personal token' }, 'POST', '/v1/tokens', { headers: bearer(accessToken), body: { name: 'ci', scope: 'admin' } });
  await handedOut({ ticket: 'ticket' }, 'POST', '/v1/auth/tickets', { headers: bearer(accessToken) });
  for (const path of ['/v1/whoami', '/v1/tokens', '/v1/users', '/v1/sources', '/v1/events?limit=1000']) await asked('GET', path, { headers: bearer(path === '/v1/tokens' ? accessToken : token) });
  await asked('DELETE', `/v1/tokens/${id}`, { headers: bearer(accessToken) });
}

async function followThroughProxy(): Promise<void> {
  commit('begin');
  const { id: project } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'canaries', import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote('root/canaries'));
  source = mustBe(201, await asked('POST', '/v1/sources', { body: { name: MARKER, baseUrl: system.gitlab.url, token: system.gitlab.token, webhookToken: IN.webhookToken, signingToken: IN.signingToken, proxyUrl: proxy.url } })).json<{ id: string }>().id;
  codebase = mustBe(201, await asked('POST', '/v1/codebases', { body: { sourceId: source, gitlabProject: project } })).json<{ id: string }>().id;
  await untilStored(system, codebase, MAIN, repository.git('rev-parse', 'main'));
}

/** The simulator signs nobody in: what comes of it is a failure, in answers and in the log. */
async function signInByGitLab(): Promise<void> {
  const at = `/v1/auth/gitlab/${source}`;
  mustBe(200, await asked('PUT', `/v1/auth/providers/${source}`, { body: { clientId: 'of-tekai', clientSecret: IN.applicationSecret } }));
  mustBe(200, await asked('GET', `/v1/auth/providers/${source}`));
  mustBe(200, await asked('GET', '/v1/auth/providers'));
  mustBe(422, await asked('POST', at, { body: {} }));
  mustBe(400, await asked('GET', `${at}/callback?code=${IN.authorizationCode}&state=${IN.authorizationCode}&error=${IN.errorOfGitLab}&error_description=${IN.errorOfGitLab}`));
  mustBe(401, await asked('POST', `${at}/session`, { body: { handle: IN.wrongHandle, code: IN.wrongCode } }));
}

/** Somebody lets us ask as them: their tokens are kept, used, and said back by a GitLab that refuses them. */
async function ownAccess(): Promise<void> {
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'lets-us' });
  const of = mustBe(201, await asked('POST', '/v1/sources', { body: { name: 'of-people', baseUrl: signsIn.url, token: system.gitlab.token } })).json<{ id: string }>().id;
  const at = `/v1/auth/gitlab/${of}`;
  await signsIn.addClient({ clientId: 'of-people', clientSecret: IN.applicationSecret, redirectUri: `${system.url}${at}/callback` });
  mustBe(200, await asked('PUT', `/v1/auth/providers/${of}`, { body: { clientId: 'of-people', clientSecret: IN.applicationSecret, unknownUsers: 'create', ownAccess: true } }));
  const begun = await handedOut({ handle: 'handle of a sign-in' }, 'POST', at, { body: {} });
  const back = await signsIn.browse(begun.url, id);
  const { code } = (await system.ask('GET', `${back.pathname}${back.search}`)).json<{ code: string }>();
  await handedOut({ accessToken: 'access token by GitLab', refreshToken: 'refresh token by GitLab' }, 'POST', `${at}/session`, { body: { handle: begun.handle, code } });
  const [tokens] = await signsIn.given();
  secret('a person\'s access token in GitLab', tokens?.accessToken);
  secret('a person\'s refresh token in GitLab', tokens?.refreshToken ?? undefined);
  const OWN_LIST = 'membership=true';
  await until('GitLab is asked as them', async () => (await system.gitlab.admin<{ count: number }>('GET', `/requests?path=${OWN_LIST}`)).count > 0);
  const said = `you sent Bearer ${tokens?.accessToken}`;
  await system.gitlab.admin('POST', '/faults', { kind: 'http', path: OWN_LIST, status: 401, body: JSON.stringify({ message: said, error_description: said }) });
  await until('GitLab says it back', () => system.log().includes('GitLab did not say to a person'));
  await system.gitlab.admin('DELETE', '/faults');
  mustBe(200, await asked('GET', `/v1/auth/providers/${of}`));
}

/** By a person whose name and address are canaries, as is what they say. */
function commit(content: string): string {
  const before = content === 'begin' ? '' : 'from refs/heads/main^0\n';
  const [text, who] = [PEOPLE.message, `${PEOPLE.author} <${PEOPLE.authorMail}> 1700000000 +0000`];
  repository.gitBytes(['fast-import', '--quiet', '--force'], Buffer.from(`commit ${MAIN}\nauthor ${who}\ncommitter ${who}\ndata ${text.length}\n${text}\n${before}M 644 inline a.txt\ndata ${content.length}\n${content}\n\n`));
  return repository.git('rev-parse', 'main');
}

/** While git talks to a GitLab that is slow, the list of processes is looked at. */
async function pushAndWatch(): Promise<void> {
  for (let nth = 0; nth < 3; nth += 1) {
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '/git-upload-pack$', bytesPerSecond: 20_000, delayMs: 1_000, times: 1 });
    const head = commit(`push ${nth}`);
    repository.git('push', '-q', '-f', 'origin', 'main');
    const stored = { is: false };
    const watching = (async () => {
      while (hasProc && !stored.is) {
        for (const { argv, environ } of processesOf(`TEKAI_STATE_DIR=${system.stateDir}`)) { processes.argv.add(argv); processes.environ.add(environ); }
        await sleep(20);
      }
    })();
    await untilStored(system, codebase, MAIN, head);
    stored.is = true;
    await watching;
  }
}

const hookBody = (more: object = {}) => ({ object_kind: 'push', ref: MAIN, before: '0'.repeat(40), after: repository.git('rev-parse', 'main'), project_id: 1, user_name: PEOPLE.pusher, user_username: PEOPLE.pusher, user_email: PEOPLE.mail, commits: [{ message: PEOPLE.message, author: { name: PEOPLE.author, email: PEOPLE.authorMail } }], ...more });

async function hooks(): Promise<void> {
  const at = `/webhooks/gitlab/${source}`;
  const headers = { 'x-gitlab-token': IN.webhookToken };
  const body = JSON.stringify(hookBody());
  expect((await asked('POST', at, { headers: { ...headers, ...signedHeaders(IN.signingToken, body) }, raw: Buffer.from(body) })).status).toBeLessThan(300);
  expect((await asked('POST', at, { headers, body: hookBody() })).status).toBe(401);
  expect((await asked('POST', at, { headers, body: hookBody({ event_name: 'user_add_to_team', object_kind: undefined, user_id: 7 }) })).status).toBeLessThan(300);
  expect((await asked('POST', at, { headers, body: hookBody({ object_kind: 'of tomorrow' }) })).status).toBeLessThan(300);
  expect((await asked('POST', at, { headers: { 'x-gitlab-token': IN.wrongHook }, body: hookBody() })).status).toBe(401);
  expect((await asked('POST', at, { headers: { 'x-gitlab-token': IN.wrongHook }, raw: Buffer.from(`{"token": ${IN.spilled}`) })).status).toBe(401);
}

/** Each is refused, in its own way. */
async function failures(): Promise<void> {
  const login = (body: object) => asked('POST', '/v1/auth/login', { body });
  mustBe(401, await login({ name: PEOPLE.signInName, password: IN.wrongPassword }));
  mustBe(401, await login({ name: IN.passwordAsName, password: IN.wrongPassword }));
  mustBe(401, await asked('POST', '/v1/auth/refresh', { body: { refreshToken: refreshed } }));
  mustBe(401, await asked('GET', '/v1/whoami', { headers: bearer(IN.nobodysToken) }));
  mustBe(401, await asked('GET', `/v1/live?ch=all&token=${IN.queryToken}`, { headers: { authorization: `Basic ${Buffer.from(`tekai:${IN.basic}`).toString('base64')}` } }));
  mustBe(401, await asked('DELETE', `/v1/sources/${source}?private_token=${IN.queryToken}`, { headers: { authorization: '' } }));
  const bad = (more: object) => asked('POST', '/v1/sources', { body: { name: 'bad', baseUrl: system.gitlab.url, token: IN.wrongGitLabToken, ...more } });
  mustBe(400, await asked('POST', '/v1/sources', { raw: Buffer.from(IN.malformed) }));
  for (const token of [[IN.wrongType], { value: IN.wrongType }, `${IN.wrongType}\n`]) mustBe(422, await bad({ token }));
  mustBe(422, await bad({ webhookToken: [IN.wrongType], signingToken: IN.wrongType }));
  mustBe(422, await bad({ baseUrl: system.gitlab.url.replace('//', `//root:${IN.urlPassword}@`) }));
  mustBe(422, await bad({ clientCertPem: 'none', clientKeyPem: `-----BEGIN PRIVATE KEY-----\n${IN.keyPem}\n-----END PRIVATE KEY-----` }));
  mustBe(422, await bad({}));
  mustBe(422, await bad({ proxyUrl: `http://tekai:${IN.unreachableProxy}@127.0.0.1:9` }));
  mustBe(422, await bad({ proxyUrl: proxy.url.replace(IN.proxyPassword, IN.unreachableProxy) }));
  await asked('POST', '/v1/source-checks', { body: { baseUrl: system.gitlab.url, token: IN.wrongGitLabToken, proxyUrl: `http://tekai:${IN.unreachableProxy}@127.0.0.1:9` } });
  for (const query of ['', `?token=${IN.queryToken}`]) await refusedSocket(query);
}

async function refusedSocket(query: string): Promise<void> {
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live${query}`, { headers: bearer(IN.nobodysToken) });
  socket.on('message', (message: Buffer) => answers.push(message.toString()));
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'connect', v: 1, token: IN.frameToken }));
  const [code, reason] = await once(socket, 'close') as [number, Buffer];
  answers.push(`${code} ${reason.toString()}`);
}

/** A GitLab that says back what it was sent, by REST and by git; a receiver that does; and who is told of it. */
async function toldBack(): Promise<void> {
  const back = `you sent Bearer ${system.gitlab.token} by ${proxy.url}`;
  for (const status of [401, 403, 500]) {
    await system.gitlab.admin('POST', '/faults', { kind: 'http', path: '^/api/v4/', status, body: JSON.stringify({ message: back, error_description: back }), times: 2 });
    await asked('GET', `/v1/sources/${source}/check`);
  }
  await system.gitlab.admin('DELETE', '/faults');
  await system.gitlab.admin('POST', '/faults', { kind: 'http', path: 'git-upload-pack', gitError: back, times: 2 });
  const head = commit('told back');
  repository.git('push', '-q', 'origin', 'main');
  await until('git was told', async () => (await system.gitlab.admin<{ hits: number }[]>('GET', '/faults')).some(({ hits }) => hits > 0));
  await system.gitlab.admin('DELETE', '/faults');
  const follower = await handedOut({ webhookSecret: 'secret of a follower' }, 'POST', '/v1/followers', { body: { name: 'hook', all: true, webhook: { url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/` } } });
  expect(follower.status).toBe(201);
  await until('the receiver failed', async () => (await asked('GET', '/v1/followers/hook')).json<{ webhook: { failures: number } }>().webhook.failures > 0);
  await untilStored(system, codebase, MAIN, head);
}

async function lookAtEverything(): Promise<void> {
  const { deliveries } = (await asked('GET', '/v1/deliveries?limit=1000')).json<{ deliveries: { id: string }[] }>();
  for (const { id } of deliveries) await asked('GET', `/v1/deliveries/${id}`);
  for (const path of [`/v1/sources/${source}`, `/v1/codebases/${codebase}`, `/v1/codebases/${codebase}/refs`, '/v1/syncs', '/v1/parked', '/v1/audit', `/v1/codebases/${codebase}/access`, '/v1/projects', '/', '/readyz', '/version', '/.well-known/jwks.json', '/nothing-here']) await asked('GET', path);
}

/** Of every process, behind the gateway of the stack too. */
const inside = async (path: string) => (await Promise.all((system.stack?.services ?? [system]).map(async ({ internalUrl }) => (await fetch(`${internalUrl}${path}`)).text()))).join('\n');

test('no canary that was put in anywhere comes out anywhere', async () => {
  await signIn();
  await followThroughProxy();
  await signInByGitLab();
  await ownAccess();
  await pushAndWatch();
  await hooks();
  await failures();
  await toldBack();
  await lookAtEverything();
  const metrics = await inside('/metrics');
  const health = await inside('/readyz');
  const facts = JSON.stringify(await eventsOf(system, ''));
  await until('the traces have come', () => receiver.bytes().includes(codebase));
  // The audit entries of what was refused last.
  await until('refusals are written down', async () => (await rowsOf(system.databaseUrl)).filter(({ table }) => table === 'identity_audit').length > 5);
  const rows = await rowsOf(system.databaseUrl);

  // Each place is one where something would be found: it holds what may be known.
  const places: (readonly [string, string | Buffer, string | RegExp])[] = [
    ['facts', facts, MARKER], ['answers', answers.join('\n'), MARKER], ['log', system.log(), codebase], ['metrics', metrics, source], ['health', health, '"ready":true'], ['traces', receiver.bytes(), codebase],
    ...(hasProc ? [['command lines', [...processes.argv].join('\n'), /git.* remote-http/], ['environments', [...processes.environ].join('\n'), 'GIT_CONFIG']] as const : []),
  ];
  expect(places.filter(([, text, known]) => (typeof known === 'string' ? !text.includes(known) : !known.test(text.toString()))).map(([place]) => place)).toEqual([]);
  expect(rows.some(({ bytes }) => bytes.includes(MARKER))).toBe(true);

  const secrets = places.flatMap(([place, text]) => canaries.foundIn(text, ['secret']).filter((name) => !(place === 'environments' && GIVEN_BY_ENVIRONMENT.includes(name))).map((name) => `${name} in ${place}`));
  const people = ['facts', 'log', 'metrics', 'traces'].flatMap((place) => canaries.foundIn(places.find(([one]) => one === place)?.[1] ?? '', ['person']).map((name) => `${name} in ${place}`));
  const inTables = new Set(rows.flatMap(({ table, bytes }) => canaries.foundIn(bytes).filter((name) => MAY_STAND[name]?.test(table) !== true).map((name) => `${name} in ${table}`)));
  const inFiles = (await filesBelow(system.stateDir, /^(?:access-token$|secrets\.key$|postgres\/)/)).flatMap(({ file, bytes }) => canaries.foundIn(bytes, ['secret']).map((name) => `${name} in ${file}`));
  expect({ secrets, people, inTables: [...inTables], inFiles }).toEqual({ secrets: [], people: [], inTables: [], inFiles: [] });
  // What may stand there does, or the list says more than is so.
  const standing = new Set(rows.flatMap(({ table, bytes }) => canaries.foundIn(bytes, ['person']).filter((name) => MAY_STAND[name]?.test(table) === true)));
  expect([...standing].sort()).toEqual(Object.keys(MAY_STAND).sort());
}, 300_000);

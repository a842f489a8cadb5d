import { createHttpDoor, type HttpDoor } from '#shared/runtime/http-door.ts';
import { identify, type Access, type Principal } from '#shared/runtime/access.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { guard, mayAsk } from './guard.ts';
import { mustBeDeclared, POLICY, type Level } from './policy.ts';

// Every address of the table, served by a handler that lets everybody through: what keeps people out is the guard alone.

const ID = '00000000-0000-4000-8000-000000000001';
const PEOPLE: Readonly<Record<string, Principal>> = {
  'the-admin': { actor: { kind: 'token', id: 'first-token' }, isSystemAdmin: true, scope: 'admin', credential: { kind: 'engine-token' } },
  'the-person': { actor: { kind: 'user', id: ID }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: ID, expiresAt: undefined } },
  'a-member': { actor: { kind: 'user', id: 'm' }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: ID, expiresAt: undefined } },
  'a-project-admin': { actor: { kind: 'user', id: 'a' }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: ID, expiresAt: undefined } },
  'a-reader': { actor: { kind: 'user', id: 'r' }, isSystemAdmin: false, scope: 'admin', credential: { kind: 'session', id: ID, expiresAt: undefined } },
  'for-reading': { actor: { kind: 'user', id: ID }, isSystemAdmin: true, scope: 'read', credential: { kind: 'personal-token', id: ID } },
  'for-writing': { actor: { kind: 'user', id: ID }, isSystemAdmin: true, scope: 'write', credential: { kind: 'personal-token', id: ID } },
};
const ROLES: Readonly<Record<string, 'member' | 'admin'>> = { m: 'member', a: 'admin' };
const access: Access = { principalOf: async (token) => PEOPLE[token], redeem: async () => undefined, recheck: async () => undefined };
const routes = Object.entries(POLICY).map(([route, rule]) => ({ route, method: route.split(' ')[0] ?? '', path: route.split(' ')[1] ?? '', level: rule.level, rule }));

let door: HttpDoor;
let url: string;
beforeAll(async () => {
  door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  door.use(identify(access));
  door.use(guard({
    roleOf: async (project, user) => (project === ID ? ROLES[user] : undefined),
    readable: async (user, codebases) => new Set(user === 'r' ? codebases.filter((one) => one === ID) : []),
  }));
  door.use((_request, response) => void response.status(200).json('served'), routes.filter(({ method }) => method !== 'WS').map(({ route }) => route));
  url = `http://127.0.0.1:${await door.listen(0)}`;
});
afterAll(() => door.close());

/** What each is told at a level. */
const TOLD: Readonly<Record<string, Record<Level, number>>> = {
  '': { public: 200, authenticated: 401, reader: 401, 'project-member': 401, 'project-admin': 401, 'system-admin': 401 },
  'Bearer made-up': { public: 200, authenticated: 401, reader: 401, 'project-member': 401, 'project-admin': 401, 'system-admin': 401 },
  'Basic the-admin': { public: 200, authenticated: 401, reader: 401, 'project-member': 401, 'project-admin': 401, 'system-admin': 401 },
  'Bearer the-person': { public: 200, authenticated: 200, reader: 404, 'project-member': 404, 'project-admin': 404, 'system-admin': 403 },
  'Bearer a-reader': { public: 200, authenticated: 200, reader: 200, 'project-member': 404, 'project-admin': 404, 'system-admin': 403 },
  'Bearer a-member': { public: 200, authenticated: 200, reader: 404, 'project-member': 200, 'project-admin': 403, 'system-admin': 403 },
  'Bearer a-project-admin': { public: 200, authenticated: 200, reader: 404, 'project-member': 200, 'project-admin': 200, 'system-admin': 403 },
  'Bearer the-admin': { public: 200, authenticated: 200, reader: 200, 'project-member': 200, 'project-admin': 200, 'system-admin': 200 },
};

async function ask(method: string, path: string, authorization: string): Promise<number> {
  return (await fetch(`${url}${path}`, { method, headers: { connection: 'close', ...(authorization === '' ? {} : { authorization }) } })).status;
}

test.each(Object.keys(TOLD))('who says %j gets what the table says at every address, however that is written (I7)', async (authorization) => {
  const wrong: string[] = [];
  for (const { method, path, level } of routes.filter((one) => one.method !== 'WS')) {
    const at = path.replace(/\*\w+/g, 'a/b').replace(/:(?!batch)\w+/g, ID);
    for (const written of [at, `${at.replace(/^\/v1/, '/V1')}${at === '/' ? '' : '/'}?x=1`]) {
      for (const asked of method === 'GET' ? ['GET', 'HEAD'] : [method]) {
        const status = await ask(asked, written, authorization);
        if (status !== TOLD[authorization]?.[level]) wrong.push(`${asked} ${written}: ${status}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('a personal token of an admin does what it was made for: to read, to write, to run the engine', async () => {
  const wrong: string[] = [];
  for (const { method, path, level, rule } of routes.filter((one) => one.method !== 'WS')) {
    const at = path.replace(/\*\w+/g, 'a/b').replace(/:(?!batch)\w+/g, ID);
    const isRead = method === 'GET' || rule.isRead === true;
    for (const [token, isEnough] of [['for-reading', isRead && rule.level !== 'system-admin'], ['for-writing', rule.level !== 'system-admin']] as const) {
      const status = await ask(method, at, `Bearer ${token}`);
      if (status !== (level === 'public' || isEnough ? 200 : 403)) wrong.push(`${token}: ${method} ${at}: ${status}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('of a project that they are not in, people are told what they would be told of none', async () => {
  const other = ID.replace('1', '2');
  const bodyOf = async (authorization: string, id: string) => ({ ...(await (await fetch(`${url}/v1/projects/${id}`, { headers: { authorization, connection: 'close' } })).json() as object), instance: '' });
  expect(await bodyOf('Bearer the-person', ID)).toEqual(await bodyOf('Bearer the-person', ID));
  expect(await bodyOf('Bearer a-member', other)).toMatchObject({ status: 404, code: 'project-unknown', detail: expect.stringContaining(other) });
});

test('of a codebase that they may not read, people are told what they would be told of none; being in a project lets nobody read', async () => {
  const bodyOf = async (authorization: string, id: string) => (await (await fetch(`${url}/v1/codebases/${id}/refs`, { headers: { authorization, connection: 'close' } })).json()) as object;
  const none = 'none-such';
  const told = { status: 404, code: 'codebase-unknown', title: expect.anything() };
  for (const who of ['Bearer the-person', 'Bearer a-member', 'Bearer a-project-admin']) {
    expect(await bodyOf(who, ID)).toMatchObject({ ...told, detail: expect.stringContaining(`There is no codebase "${ID}".`) });
    expect(await bodyOf(who, none)).toMatchObject({ ...told, detail: expect.stringContaining(`There is no codebase "${none}".`) });
  }
  expect(await bodyOf('Bearer a-reader', ID.replace('1', '2'))).toMatchObject(told);
});

test('what the table does not name is served to nobody, not to a system admin either', async () => {
  for (const path of ['/v1/undeclared', '/v1/codebases/a/b/c', '/v1//codebases', '/v1/codebases/../../v2', '/metrics', '/v2/codebases']) {
    expect([path, await ask('GET', path, ''), await ask('GET', path, 'Bearer the-admin')]).toEqual([path, 401, 404]);
  }
  expect(await ask('DELETE', '/v1/codebases', 'Bearer the-admin')).toBe(405);
});

test('a socket is opened by who the table says', () => {
  const [admin, person] = [PEOPLE['the-admin'], PEOPLE['the-person']];
  for (const { route, level } of routes.filter((one) => one.method === 'WS')) {
    expect([route, admin && mayAsk(admin, route), person && mayAsk(person, route)]).toEqual([route, true, level === 'authenticated']);
  }
  expect(admin && mayAsk(admin, 'WS /v1/undeclared')).toBe(false);
});

test('an engine that serves what the table does not name does not start', () => {
  expect(() => mustBeDeclared(door.served())).not.toThrow();
  door.use((_request, _response, next) => next(), ['GET /v1/undeclared/:id']);
  expect(() => mustBeDeclared(door.served())).toThrow(/policy\.ts.*: GET \/v1\/undeclared\/\{id\}/);
});

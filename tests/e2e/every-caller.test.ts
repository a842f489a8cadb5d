import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { CHANNELS, covers, includes, POLICY, scopeOf, type Rule } from '#shared/access/policy.ts';
import { shownRoute } from '#shared/runtime/allowed-methods.ts';
import { forgeriesOf, signIn, type Caller } from '../harness/callers.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';

// Every address and channel that the engine serves, asked by everybody whom there can be. What each is told follows from the table of
// policy.ts: who changes it changes what is expected here. Nothing is changed by the asking: what is let through is a request that lacks something.

type Told = 'served' | 'unknown caller' | 'not allowed' | 'not there';

const FILE = 'a.txt';
let system: System;
let callers: Caller[];
/** What an address names, by the words before it. */
let places: Record<string, string>;
let routes: { route: string; rule: Rule }[];

beforeAll(async () => {
  system = await startSystem();
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: FILE, content: 'one\n' }]);
  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'app', import: repository.dir });
  // Before it is followed: GitLab is asked who reads it then, and again after five minutes.
  const { id: gitlabUserId } = await system.gitlab.admin<{ id: number }>('POST', '/users', { username: 'ivy-there' });
  await system.gitlab.admin('POST', '/members', { project: String(id), user: 'ivy-there', accessLevel: 20 });
  const codebase = await system.follow(id);
  await untilStored(system, codebase, 'refs/heads/main', commit);

  const [admin, stranger, member, other] = [await signIn(system, 'ann', { isSystemAdmin: true }), await signIn(system, 'bob'), await signIn(system, 'cyd'), await signIn(system, 'dan')];
  const [owner, disabled, left] = [await signIn(system, 'eve'), await signIn(system, 'fay', { isSystemAdmin: true }), await signIn(system, 'gil', { isSystemAdmin: true })];
  const as = ({ accessToken }: { accessToken: string }) => ({ headers: { authorization: `Bearer ${accessToken}` } });
  const projectOf = async (who: { accessToken: string }) => (await system.ask('POST', '/v1/projects', { body: { name: 'theirs' }, ...as(who), headers: { ...as(who).headers, 'idempotency-key': randomUUID() } })).json<{ id: string }>().id;
  const [project] = [await projectOf(owner), await projectOf(other)];
  await until('the project is there', async () => (await system.ask('GET', `/v1/projects/${project}`, as(owner))).status === 200);
  const joined = await system.ask('PUT', `/v1/projects/${project}/members/${member.id}`, { body: { role: 'member' }, headers: { ...as(owner).headers, 'idempotency-key': randomUUID(), 'if-match': '*' } });
  const together = await system.ask('PUT', `/v1/projects/${project}/codebases/${codebase}`, { headers: { 'idempotency-key': randomUUID(), 'if-match': '*' } });
  expect([joined.status, together.status]).toEqual([200, 200]);
  await until('all are in it', async () => (await system.ask('GET', `/v1/projects/${project}`, as(member))).status === 200);
  // Whom GitLab lets read the codebase, and who is nothing else here.
  const reader = await signIn(system, 'ivy');
  await system.ask('PUT', `/v1/users/${reader.id}/gitlab-users/${await system.sourceId()}`, { body: { gitlabUserId } });
  const readersToken = (await system.ask('POST', '/v1/tokens', { body: { name: 'ci', scope: 'read' }, ...as(reader) })).json<{ token: string }>().token;
  await until('the reader reads', async () => (await system.ask('GET', `/v1/codebases/${codebase}`, as(reader))).status === 200);
  const reading = (await system.ask('POST', '/v1/tokens', { body: { name: 'ci', scope: 'read' }, ...as(admin) })).json<{ token: string }>().token;
  await system.ask('PATCH', `/v1/users/${disabled.id}`, { body: { state: 'disabled' } });
  await system.ask('POST', '/v1/auth/logout', { body: { refreshToken: left.refreshToken } });

  const everything = { level: 'system-admin', scope: 'admin', inProject: undefined, ofCodebase: undefined } as const;
  const known = { ...everything, level: 'authenticated' } as const;
  callers = [
    { who: 'nobody', token: undefined, is: undefined },
    { who: 'a made-up token', token: 'made-up', is: undefined },
    { who: 'a stranger', token: stranger.accessToken, is: known },
    { who: 'a member of the project', token: member.accessToken, is: { ...known, inProject: 'project-member' } },
    { who: 'an admin of another project', token: other.accessToken, is: known },
    { who: 'an admin of the project', token: owner.accessToken, is: { ...known, inProject: 'project-admin' } },
    { who: 'a reader of the codebase', token: reader.accessToken, is: { ...known, ofCodebase: 'reader' } },
    { who: 'a reader\'s token for reading', token: readersToken, is: { ...known, scope: 'read', ofCodebase: 'reader' } },
    { who: 'a system admin', token: admin.accessToken, is: everything },
    { who: 'a system admin\'s token for reading', token: reading, is: { ...everything, scope: 'read' } },
    { who: 'the engine\'s own token', token: system.token, is: everything },
    { who: 'a system admin who was disabled', token: disabled.accessToken, is: undefined },
    { who: 'a system admin who signed out', token: left.accessToken, is: undefined },
    ...Object.entries(await forgeriesOf(system, admin)).map(([who, token]) => ({ who, token, is: undefined })),
  ];
  const sync = (await system.ask('GET', `/v1/syncs?codebase=${codebase}`)).json<{ syncs: { id: string }[] }>().syncs[0]?.id ?? '';
  places = { projects: project, codebases: codebase, sources: await system.sourceId(), gitlab: await system.sourceId(), syncs: sync, objects: commit };
  const { see } = await (await fetch(system.url)).json() as { see: string[] };
  const rules = new Map(Object.entries(POLICY).map(([route, rule]) => [shownRoute(route), { route, rule }]));
  // One that is served without an entry is asked for, too, and expected by nothing.
  routes = [...new Set([...rules.keys(), ...see])].map((shown) => rules.get(shown) ?? { route: shown, rule: { level: 'system-admin' } });
  await until('who was sent away is gone', async () => (await Promise.all([disabled, left].map(async (one) => (await system.ask('GET', '/v1/whoami', as(one))).status))).every((status) => status === 401));
}, 300_000);
afterAll(async () => { await system.stop(); });

/** As the table has it. */
function expected({ is }: Caller, { rule, method, place }: { rule: Rule; method: string; place: 'project' | 'codebase' | undefined }): Told {
  const asked = rule.level;
  if (asked === 'public') return 'served';
  if (is === undefined) return 'unknown caller';
  if (!covers(is.scope, scopeOf(method, rule))) return 'not allowed';
  if (includes(is.level, asked)) return 'served';
  if (asked === 'system-admin') return 'not allowed';
  const role = place === 'project' ? is.inProject : is.ofCodebase;
  if (role === undefined) return 'not there';
  return includes(role, asked) ? 'served' : 'not allowed';
}

const CODES: Readonly<Record<string, Told>> = { 'not-authenticated': 'unknown caller', 'not-allowed': 'not allowed', 'scope-too-small': 'not allowed', 'project-unknown': 'not there', 'codebase-unknown': 'not there' };

/** @returns what was told, with the answer that told it where that is none of ours */
async function told(response: Response): Promise<Told | string> {
  if (response.ok) { await response.body?.cancel(); return 'served'; }
  const text = await response.text();
  const { code } = JSON.parse(text) as { code: string };
  if (response.status >= 500 || code === 'no-such-address' || response.status === 405) return `${response.status} ${text}`;
  return CODES[code] ?? 'served';
}

const placeOf = (route: string) => (/\/v1\/projects\/:/.test(route) ? 'project' as const : /\/v1\/codebases\/:|\/v1\/syncs\/:/.test(route) ? 'codebase' as const : undefined);
const addressOf = (route: string) => route.replace(/\*path/, route.includes('files') ? FILE : '').replace(/([\w-]+)\/:(?!batch)\w+/g, (_, word: string) => `${word}/${places[word] ?? randomUUID()}`).replace(/:(?!batch)\w+/g, () => randomUUID());

test('at every address each is told what the table says (I7)', async () => {
  const wrong: string[] = [];
  let asked = 0;
  await Promise.all(callers.map(async (caller) => {
    for (const { route, rule } of routes.filter((one) => !one.route.startsWith('WS '))) {
      const [method = '', pattern = ''] = route.split(' ');
      const headers = { 'content-type': 'application/json', ...(caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` }) };
      const answer = await told(await fetch(`${system.url}${addressOf(pattern)}`, { method, headers, ...(method === 'GET' ? {} : { body: '[]' }) }));
      const wanted = expected(caller, { rule, method, place: placeOf(pattern) });
      asked += 1;
      if (answer !== wanted) wrong.push(`${caller.who}: ${route}: ${answer}, not ${wanted}`);
    }
  }));
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(1_000);
}, 300_000);

test('what is there and not theirs is told as what is not there, word for word', async () => {
  const strangers = callers.filter(({ is }) => is?.level === 'authenticated' && (is.inProject === undefined || is.ofCodebase === undefined));
  expect(strangers.length).toBeGreaterThan(3);
  for (const { token, is } of strangers) {
    const levels = [...(is?.inProject === undefined ? ['project-member', 'project-admin'] : []), ...(is?.ofCodebase === undefined ? ['reader'] : [])];
    const hidden = routes.filter(({ route, rule }) => !route.startsWith('WS ') && placeOf(route) !== undefined && levels.includes(rule.level));
    expect(hidden.length).toBeGreaterThan(5);
    for (const { route } of hidden) {
      const [method = '', pattern = ''] = route.split(' ');
      const at = addressOf(pattern);
      const there = at.split('/')[3] ?? '';
      const nowhere = randomUUID();
      const answers = await Promise.all([at, at.replace(there, nowhere)].map(async (one) => (await fetch(`${system.url}${one}`, { method, headers: { authorization: `Bearer ${token}` } })).text()));
      const alike = answers.map((text) => text.replaceAll(there, 'it').replaceAll(nowhere, 'it').replace(/"instance":"[^"]*"/, ''));
      expect([route, alike[0]]).toEqual([route, alike[1]]);
    }
  }
});

interface Heard { readonly op: string; readonly code?: string; readonly detail?: string }

/** The frames that come for these, until one is there or the socket is closed. */
async function heard(at: string, { token }: Caller, frames: readonly object[], last: string): Promise<Heard[]> {
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}${at}`);
  const answers: Heard[] = [];
  const ended = once(socket, 'close');
  const isThere = new Promise<void>((resolve) => { socket.on('message', (message: Buffer) => { answers.push(JSON.parse(message.toString()) as Heard); if ([last, 'error'].includes(answers.at(-1)?.op ?? '')) resolve(); }); });
  await once(socket, 'open');
  for (const frame of [{ op: 'connect', v: 1, token: token ?? '' }, ...frames]) socket.send(JSON.stringify(frame));
  await Promise.race([isThere, ended]);
  socket.terminate();
  return answers;
}

async function wordsAt({ token }: Caller, at: string): Promise<string> {
  const { code, detail } = await (await fetch(`${system.url}${at}`, { headers: { authorization: `Bearer ${token}` } })).json() as { code: string; detail: string };
  return `${code} ${detail}`;
}

test('every channel tells those whom the table lets hear it, over a socket and over a stream', async () => {
  const [codebase, project] = [places['codebases'] ?? '', places['projects'] ?? ''];
  const names: Record<string, { ch: string; place: 'project' | 'codebase' | undefined }> = { all: { ch: 'all', place: undefined }, 'codebase:': { ch: `codebase:${codebase}`, place: 'codebase' }, 'project:': { ch: `project:${project}`, place: 'project' } };
  expect(Object.keys(names)).toEqual(Object.keys(CHANNELS));
  for (const caller of callers) {
    for (const [name, rule] of Object.entries(CHANNELS)) {
      const { ch, place } = names[name] ?? { ch: '', place: undefined };
      // What a token was made for is asked at the address; what its owner may hear, of the channel.
      const ofOwner: Caller = { ...caller, is: caller.is && { ...caller.is, scope: 'admin' } };
      const may = (route: string) => expected(caller, { rule: POLICY[route] ?? rule, method: 'GET', place: undefined }) === 'served' && expected(ofOwner, { rule, method: 'GET', place }) === 'served';
      const frames = await heard('/v1/live', caller, [{ op: 'subscribe', ch }], 'subscribed');
      const cut = new AbortController();
      const stream = await fetch(`${system.url}/v1/live?ch=${ch}`, { headers: caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` }, signal: cut.signal });
      expect([caller.who, ch, frames.some(({ op }) => op === 'subscribed'), stream.ok]).toEqual([caller.who, ch, may('WS /v1/live'), may('GET /v1/live')]);
      // To who is known and may not: the words that an address has for it, whether it is there or not.
      const refused = frames.at(-1);
      if (refused?.op === 'error') {
        const { code, detail } = await stream.json() as { code: string; detail: string };
        const nowhere = randomUUID();
        const [, id = ''] = ch.split(':');
        const ofNone = id === '' ? refused : (await heard('/v1/live', caller, [{ op: 'subscribe', ch: ch.replace(id, nowhere) }], 'subscribed')).at(-1);
        const words = [refused, { code, detail }, { code: ofNone?.code, detail: ofNone?.detail?.replace(nowhere, id) }].map((one) => `${one.code} ${one.detail}`);
        expect([caller.who, ch, [...new Set(words)].length]).toEqual([caller.who, ch, 1]);
        if (place !== undefined) expect(words[0]).toBe(await wordsAt(caller, `/v1/${place}s/${id}`));
      }
      cut.abort();
    }
  }
}, 120_000);

test('a follower is its maker\'s: others, system admins too, are told that there is none', async () => {
  expect((await system.ask('POST', '/v1/followers', { body: { name: 'mine', codebases: [places['codebases']] } })).status).toBe(201);
  for (const caller of callers) {
    const isMaker = caller.token === system.token;
    expect([caller.who, (await heard('/v1/followers/live', caller, [{ op: 'follow', name: 'mine' }], 'entries')).some(({ op }) => op === 'entries')]).toEqual([caller.who, isMaker]);
    const { status } = await fetch(`${system.url}/v1/followers/mine`, { headers: caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` } });
    const may = expected(caller, { rule: POLICY['GET /v1/followers/:name'] ?? { level: 'system-admin' }, method: 'GET', place: undefined });
    expect([caller.who, status]).toEqual([caller.who, isMaker ? 200 : { served: 404, 'unknown caller': 401, 'not allowed': 403, 'not there': 404 }[may]]);
  }
}, 120_000);

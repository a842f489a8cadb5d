import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { GitLabProjectId } from '#schemas/brand.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { ingress, push, sign, SOURCE, TOKEN, type World } from './ingress-world.fixture.ts';

// A delivery by the secret token alone, of a project whose webhook signs.

const [SIGNS, BY_TOKEN, NOBODYS] = [20, 15, 999];
const parts = { actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: 'x', causationId: null };
const registered = (project: number) => newFact({
  type: 'codebase.registered', key: 'c', ...parts, time: new Date(),
  data: { codebaseId: codebaseIdOf(SOURCE, project as GitLabProjectId), sourceId: SOURCE, gitlabProjectId: project as GitLabProjectId, path: 'a/b', followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) } },
});
const installed = (isSigned: boolean, project = SIGNS) => newFact({ type: 'hook.installed', key: 'c', ...parts, time: new Date(), data: { codebaseId: codebaseIdOf(SOURCE, project as GitLabProjectId), sourceId: SOURCE, gitlabHookId: 1, how: 'created', isSigned } });
const refusedHook = () => newFact({ type: 'hook.refused', key: 'c', ...parts, time: new Date(), data: { codebaseId: codebaseIdOf(SOURCE, SIGNS as GitLabProjectId), sourceId: SOURCE, reason: '403' } });
const stream = codebaseStream(codebaseIdOf(SOURCE, SIGNS as GitLabProjectId));

let world: World;
beforeEach(async () => {
  world = await ingress();
  await world.log.append(stream, 'noStream', [registered(SIGNS), installed(true)]);
});
afterEach(async () => { await world.stop(); });

const byToken = { 'x-gitlab-token': TOKEN };
const ofSigned = (more: object = {}) => push({ project_id: SIGNS, ...more });

test('is refused and leaves nothing; the very delivery is taken with its signature, and refused once that is stripped from it', async () => {
  const before = [(await world.facts()).length, world.bodies.size];
  expect(await world.deliver(ofSigned())).toMatchObject({ status: 401, body: { code: 'not-signed' } });
  expect([(await world.facts()).length, world.bodies.size]).toEqual(before);

  const headers = { ...sign(ofSigned()), ...byToken, 'idempotency-key': 'one' };
  expect((await world.deliver(ofSigned(), headers)).status).toBe(202);
  for (const gone of [['webhook-signature'], ['webhook-signature', 'webhook-id', 'webhook-timestamp']]) {
    const stripped = Object.fromEntries(Object.entries(headers).filter(([name]) => !gone.includes(name)));
    expect((await world.deliver(ofSigned(), stripped)).status).toBe(401);
  }
  expect((await world.facts()).filter(({ type }) => type === 'push.received')).toHaveLength(1);
});

test('what a project\'s webhook never sends goes on by the token alone: members, groups, and what asks for no work; so do pushes of projects whose webhook does not sign', async () => {
  for (const body of [{ event_name: 'user_remove_from_team', project_id: SIGNS }, { event_name: 'user_add_to_group', group_id: 7 }, { event_name: 'project_rename', project_id: SIGNS }, { object_kind: 'note', project_id: SIGNS }]) expect((await world.deliver(JSON.stringify(body))).status).toBe(202);
  for (const project of [BY_TOKEN, NOBODYS]) expect((await world.deliver(push({ project_id: project }))).status).toBe(202);
});

test('is taken as soon as it is told that the webhook signs no more: made anew without a signing token, refused to us, or taken away', async () => {
  for (const [revision, told] of [installed(false), installed(true), refusedHook()].entries()) {
    const expected = told.type === 'hook.installed' && told.data.isSigned ? 401 : 202;
    await world.log.append(stream, revision + 1, [told]);
    const end = performance.now() + 30_000;
    const statusNow = async () => (await world.deliver(ofSigned())).status;
    // What was looked up a moment ago is believed as long: ten seconds of a yes to the token, half a second of a no.
    while ((await statusNow()) !== expected && performance.now() < end) await sleep(50);
    expect([told.type, await statusNow()]).toEqual([told.type, expected]);
  }
}, 60_000);

describe('while the log is away', () => {
  test('is refused by what is known from before', async () => {
    await world.deliver(ofSigned(), sign(ofSigned()));
    world.away.log = true;
    expect((await world.deliver(ofSigned())).status).toBe(401);
  });

  test('with nothing known from before it is taken, and written down as ignored once the log can say; what is signed, and what need not be, is a push', async () => {
    await world.restart();
    world.away.log = true;
    const ids: string[] = [];
    for (const [body, headers] of [[ofSigned(), byToken], [ofSigned(), sign(ofSigned())], [push({ project_id: BY_TOKEN }), byToken]] as const) {
      const { status, body: answer } = await world.deliver(body, headers);
      expect(status).toBe(202);
      ids.push(answer.deliveryId);
    }
    world.away.log = false;
    const found = async () => (await world.facts()).filter(({ data }) => ids.includes((data as { deliveryId: string }).deliveryId));
    for (const end = performance.now() + 30_000; (await found()).length < 3 && performance.now() < end;) await sleep(20);
    expect((await found()).map(({ type }) => type)).toEqual(['delivery.ignored', 'push.received', 'push.received']);
    expect((await found())[0]).toMatchObject({ key: SOURCE, data: { reason: expect.stringContaining('not signed') } });
  });
});

type Token = 'none' | 'wrong' | 'right';
type Signature = 'none' | 'wrong' | 'old' | 'junk' | 'without an id' | 'right';
const KINDS = { push: true, tag_push: true, repository_update: true, note: false, user_add_to_team: false, project_update: false } as const;

function signatureOf(kind: Signature, body: string): Record<string, string> {
  switch (kind) {
    case 'none': return {};
    case 'right': return sign(body);
    case 'wrong': return sign(body, { secret: `whsec_${randomBytes(32).toString('base64')}` });
    case 'old': return sign(body, { at: Math.floor(Date.now() / 1_000) - 600 });
    case 'junk': return { ...sign(body), 'webhook-signature': 'v1, v2,x' };
    case 'without an id': { const { 'webhook-id': _id, ...rest } = sign(body); return rest; }
    default: return kind satisfies never;
  }
}

test('any mix of headers, kinds and ways to name a project: a signature that comes decides; else the token does, but for pushes of a project whose webhook signs', async () => {
  await fc.assert(fc.asyncProperty(
    fc.record({
      token: fc.constantFrom<Token>('none', 'wrong', 'right'), signature: fc.constantFrom<Signature>('none', 'wrong', 'old', 'junk', 'without an id', 'right'),
      kind: fc.constantFrom(...Object.keys(KINDS) as (keyof typeof KINDS)[]), project: fc.constantFrom(SIGNS, BY_TOKEN, NOBODYS),
      named: fc.constantFrom('project_id', 'as text', 'project.id'), isByEventName: fc.boolean(), event: fc.constantFrom('Push Hook', 'System Hook', 'Member Hook'), hasKey: fc.boolean(),
    }),
    async ({ token, signature, kind, project, named, isByEventName, event, hasKey }) => {
      const where = named === 'project_id' ? { project_id: project } : named === 'as text' ? { project_id: String(project) } : { project: { id: project } };
      const body = JSON.stringify({ [isByEventName ? 'event_name' : 'object_kind']: kind, ref: 'refs/heads/main', ...where });
      const headers = {
        ...signatureOf(signature, body), ...(token === 'none' ? {} : { 'x-gitlab-token': token === 'right' ? TOKEN : 'wrong' }), 'x-gitlab-event': event, ...(hasKey ? { 'idempotency-key': randomUUID() } : {}),
      };
      const isTaken = signature === 'none' ? token === 'right' && !(KINDS[kind] && project === SIGNS) : signature === 'right';
      expect((await world.deliver(body, headers)).status).toBe(isTaken ? 202 : 401);
    }), { numRuns: 300 });
}, 60_000);

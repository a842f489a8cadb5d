import type { AuditEntry } from '#schemas/api/audit.ts';
import { signIn } from '../harness/callers.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import { tekai } from '../../services/cli/cli-run.fixture.ts';

let system: System;
beforeAll(async () => { system = await startSystem({ webhookToken: 'a-secret-of-the-hook' }); });
afterAll(() => system.stop());

async function found(query: string): Promise<AuditEntry[]> {
  const { status, bytes } = await system.ask('GET', `/v1/audit?${query}`);
  expect([status, status === 200 ? '' : bytes.toString()]).toEqual([200, '']);
  return (JSON.parse(bytes.toString()) as { entries: AuditEntry[] }).entries;
}

test('one question tells what people decided, by facts, and what no fact tells: sign-ins, users, tokens, what was read and refused', async () => {
  const source = await system.sourceId();
  const ann = await signIn(system, 'ann', { isSystemAdmin: true });
  const bob = await signIn(system, 'bob');
  const asAnn = { authorization: `Bearer ${ann.accessToken}` };
  expect((await system.ask('PATCH', `/v1/sources/${source}`, { headers: { ...asAnn, 'if-match': '*' }, body: { name: 'home' } })).status).toBe(200);
  expect((await system.ask('GET', `/v1/sources/${source}/manual-hook`, { headers: asAnn })).status).toBe(200);
  expect((await system.ask('POST', `/v1/users/${bob.id}/one-time-password`, { headers: asAnn })).status).toBe(200);
  const byAnn = await until('what was read is written down', async () => {
    const entries = await found(`actor=${ann.id}`);
    return entries.some(({ act }) => act === 'webhook-secret-read') && entries;
  });
  expect(byAnn.map(({ act, target, actor: { name }, position }) => [act, target === ann.id ? 'ann' : target, name, position !== null]).sort()).toEqual([
    ['password-changed', 'ann', 'ann', false], ['password-reset', bob.id, 'ann', false], ['signed-in', expect.any(String), 'ann', false],
    ['source.changed', source, 'ann', true], ['webhook-secret-read', source, 'ann', false],
  ]);
  expect(byAnn.map(({ at }) => at)).toEqual(byAnn.map(({ at }) => at).sort().toReversed());

  // Bob was signed out by the reset, and is refused within two seconds.
  await until('bob is out', async () => (await system.ask('GET', '/v1/whoami', { headers: { authorization: `Bearer ${bob.accessToken}` } })).status === 401);
  for (let nth = 0; nth < 20; nth += 1) expect((await system.ask('POST', `/webhooks/gitlab/${source}`, { headers: { 'x-gitlab-token': 'a-canary-of-a-wrong-secret' }, body: {} })).status).toBe(401);
  const refused = await until('refusals are written down', async () => {
    const entries = await found('act=delivery-refused,request-refused');
    return entries.filter(({ act }) => act === 'delivery-refused').reduce((sum, { count }) => sum + count, 0) === 20 && entries;
  });
  expect(refused.find(({ act, actor }) => act === 'request-refused' && actor.id === bob.id)).toMatchObject({ route: 'GET /v1/whoami', code: 'not-authenticated', address: '127.0.0.1' });
  // Of one minute, or of the two that it fell into.
  expect(refused.filter(({ act }) => act === 'delivery-refused').length).toBeLessThanOrEqual(2);

  const shown = await tekai(['audit', '--actor', 'ann', '--act', 'source.changed'], { env: { TEKAI_URL: system.url, TEKAI_TOKEN: system.token }, now: () => new Date(), sleep: async () => undefined });
  expect(shown.stdout).toMatch(new RegExp(`ann +- +source\\.changed +${source}`));
});

import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_TRACING } from '#shared/runtime/tracing.ts';
import { ingress, push, refusedCount, sign, SOURCE, TOKEN, type World } from './ingress-world.fixture.ts';

let world: World;
beforeAll(async () => { world = await ingress(); });
afterAll(async () => { await world.stop(); });

const FIXTURES = path.resolve(import.meta.dirname, '../../../shared/fixtures/gitlab/webhooks');
const fixtures = existsSync(FIXTURES) ? readdirSync(FIXTURES).filter((name) => name.endsWith('.json')) : [];

test(`payloads that others recorded are all answered 2xx and recorded (${fixtures.length} found)`, async () => {
  for (const name of fixtures) {
    const body = readFileSync(path.join(FIXTURES, name));
    const { status, body: answer } = await world.deliver(body);
    expect([name, status]).toEqual([name, 202]);
    expect(world.bodies.get(answer.deliveryId)).toEqual(body);
    const fact = (await world.facts()).find((one) => (one.data as { deliveryId: string }).deliveryId === answer.deliveryId);
    expect(['push.received', 'delivery.ignored', 'gitlab.hinted']).toContain(fact?.type);
    if (/push|repository/.test(name) && body.includes('"project_id": 15')) expect([name, fact?.type]).toEqual([name, 'push.received']);
    if (/team|group-member/.test(name)) expect([name, fact?.type]).toEqual([name, 'gitlab.hinted']);
  }
});

test.each([
  ['nothing at all', ''],
  ['no JSON', '{"object_kind": "push"'],
  ['a body of null', 'null'],
  ['an array', '[{"object_kind":"push"}]'],
  ['nested 10,000 deep', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
  ['an array nested 100,000 deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ['__proto__', '{"__proto__":{"object_kind":"push","project_id":15},"constructor":{"prototype":{"x":1}}}'],
  ['a body from a custom template', '{"text":"Ann pushed to main"}'],
  ['a kind that nobody knows', '{"object_kind":"quantum_entangled","project_id":15}'],
  ['a push without a project', '{"object_kind":"push","ref":"refs/heads/main"}'],
  ['a push with nonsense for an id', '{"object_kind":"push","project_id":{"$gt":0},"ref":7,"after":[]}'],
  ['a push of a project that nobody registered', '{"object_kind":"push","project_id":16,"ref":"refs/heads/main"}'],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
])('an authentic delivery of %s is answered 202 and recorded as ignored, with the reason', async (_name, body) => {
  const { status, body: answer } = await world.deliver(body);
  expect(status).toBe(202);
  const fact = (await world.facts()).find((one) => (one.data as { deliveryId: string }).deliveryId === answer.deliveryId);
  expect(fact?.type).toBe('delivery.ignored');
  expect((fact?.data as { reason: string }).reason.length).toBeGreaterThan(10);
  expect(({} as Record<string, unknown>)['object_kind']).toBeUndefined();
});

test('a push whose ref cannot be used is a hint for every followed ref', async () => {
  const { body: answer } = await world.deliver('{"object_kind":"push","project_id":"15","ref":7}');
  const fact = (await world.facts()).find((one) => (one.data as { deliveryId: string }).deliveryId === answer.deliveryId);
  expect(fact).toMatchObject({ type: 'push.received', data: { refs: [] } });
});

test.each<[string, () => Record<string, string>, string]>([
  ['no secret', () => ({}), SOURCE],
  ['a wrong token', () => ({ 'x-gitlab-token': 'wrong' }), SOURCE],
  ['a token that lacks its last letter', () => ({ 'x-gitlab-token': TOKEN.slice(0, -1) }), SOURCE],
  ['a token with a letter more', () => ({ 'x-gitlab-token': `${TOKEN}x` }), SOURCE],
  ['an empty token', () => ({ 'x-gitlab-token': '' }), SOURCE],
  ['a token of another length and alphabet', () => ({ 'x-gitlab-token': encodeURIComponent('ключ') }), SOURCE],
  ['a signature by another key', () => sign(push(), { secret: `whsec_${randomBytes(32).toString('base64')}` }), SOURCE],
  ['a signature of another body', () => sign(push({ user_id: 7 })), SOURCE],
  ['a signature that is 301 s old', () => sign(push(), { at: Math.floor(Date.now() / 1_000) - 301 }), SOURCE],
  ['a signature from 301 s ahead', () => sign(push(), { at: Math.floor(Date.now() / 1_000) + 301 }), SOURCE],
  ['a signature without its timestamp', () => ({ 'webhook-id': 'x', 'webhook-signature': 'v1,AAAA' }), SOURCE],
  ['junk for a signature, beside the right token', () => ({ ...sign(push()), 'webhook-signature': 'v1,', 'x-gitlab-token': TOKEN }), SOURCE],
  ['the address of another source', () => ({ 'x-gitlab-token': TOKEN }), randomUUID()],
  ['an address that is no source', () => ({ 'x-gitlab-token': TOKEN }), 'x'],
])('a delivery with %s is answered 401 and leaves nothing but a count', async (_name, headers, source) => {
  const before = [(await world.facts()).length, world.bodies.size];
  const refused = await refusedCount();
  expect((await world.deliver(push(), headers(), source)).status).toBe(401);
  expect(await refusedCount()).toBe(refused + 1);
  expect([(await world.facts()).length, world.bodies.size]).toEqual(before);
});

test('a signature is accepted among others, in any order', async () => {
  const body = push();
  const headers = sign(body);
  const { status } = await world.deliver(body, { ...headers, 'webhook-signature': `v2,zzz v1,AAAA ${headers['webhook-signature']} junk` });
  expect(status).toBe(202);
});

test('what nothing fits is looked up anew: a changed secret is good soon, and the old ones need not be forgotten first', async () => {
  await world.deliver('{"object_kind":"push"}');
  world.change(['the new one', TOKEN]);
  let refused = 0;
  for (; (await world.deliver('{"object_kind":"push"}', { 'x-gitlab-token': 'the new one' })).status !== 202; refused += 1) await sleep(50);
  // Every look after the first second is fresh; kept for ten seconds they would be some two hundred.
  expect(refused).toBeLessThan(100);
  world.change([TOKEN]);
}, 20_000);

test('100 concurrent copies of one delivery make one fact, and the other 99 are told so', async () => {
  const body = push();
  const headers = sign(body);
  const answers = await Promise.all(Array.from({ length: 100 }, () => world.deliver(body, headers)));
  expect(answers.filter((one) => one.status === 202)).toHaveLength(1);
  expect(answers.filter((one) => one.status === 200 && one.body.duplicate === true)).toHaveLength(99);
  const facts = (await world.facts()).filter((one) => (one.data as { deliveryId: string }).deliveryId === headers['webhook-id']);
  expect(facts).toHaveLength(1);
});

test('equal bodies without a key are each their own delivery', async () => {
  const before = (await world.facts()).length;
  await world.deliver(push());
  await world.deliver(push());
  expect((await world.facts()).length).toBe(before + 2);
});

test('a body over 25 MiB is refused with 413 while it streams in', async () => {
  const status = await new Promise<number>((resolve, reject) => {
    const sent = httpRequest(`${world.url}/webhooks/gitlab/${SOURCE}`, { method: 'POST', headers: { 'x-gitlab-token': TOKEN, 'transfer-encoding': 'chunked' } }, (response) => { resolve(response.statusCode ?? 0); response.resume(); sent.destroy(); });
    sent.on('error', reject);
    const piece = Buffer.alloc(1 << 20, 0x20);
    let left = 200;
    const more = () => { while (left > 0) { left -= 1; if (!sent.write(piece)) { sent.once('drain', more); return; } } };
    more();
  });
  expect(status).toBe(413);
});

test('25 MiB to the byte are taken', async () => {
  const body = Buffer.concat([Buffer.from('{"x":"'), Buffer.alloc(25 * 1_048_576 - 8, 0x61), Buffer.from('"}')]);
  expect((await world.deliver(body)).status).toBe(202);
});

describe('while the log is away', () => {
  let other: World;
  beforeEach(async () => { other = await ingress(); await other.deliver(push()); });
  afterEach(async () => { await other.stop(); });

  test.each<[string, Partial<World['away']>]>([['refuses', { log: true }], ['is silent', { log: 'silent' }], ['is there but the deliveries are not', { database: true }]])(
    'deliveries are spooled and answered 202 when it %s, and reach it in order when it is back, over a restart too', async (_how, state) => {
      const before = (await other.facts()).length;
      Object.assign(other.away, state);
      const ids: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        const { status, body } = await other.deliver(push({ user_id: n }));
        expect(status).toBe(202);
        ids.push(body.deliveryId);
      }
      expect((await other.facts()).length).toBe(before);
      await other.restart();
      Object.assign(other.away, { log: false, database: false });
      // What comes next goes behind what waits.
      ids.push((await other.deliver(push({ user_id: 5 }))).body.deliveryId);
      for (const end = performance.now() + 30_000; (await other.facts()).length < before + 6 && performance.now() < end;) await sleep(20);
      expect((await other.facts()).slice(before).map((one) => (one.data as { deliveryId: string }).deliveryId)).toEqual(ids);
      for (const id of ids) expect(other.bodies.has(id)).toBe(true);
    });

  test('what is spooled keeps the span that it was taken in', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await other.restart({ tracing: { ...NO_TRACING, traceparent: () => traceparent } });
    const before = (await other.facts()).length;
    await other.deliver(push());
    other.away.log = true;
    await other.deliver(push());
    await other.restart();
    other.away.log = false;
    for (const end = performance.now() + 30_000; (await other.facts()).length < before + 2 && performance.now() < end;) await sleep(20);
    // Of what is not spooled the log says so (shared/log/traced-log.ts).
    expect((await other.facts()).slice(before).map((fact) => fact.traceparent)).toEqual([undefined, traceparent]);
  });

  test('a full spool answers 503 with Retry-After, and takes nothing', async () => {
    await other.restart({ spoolBytesMax: 2_500 });
    await other.deliver(push());
    other.away.log = true;
    const answers = [];
    for (let n = 0; n < 4; n += 1) answers.push(await other.deliver(push()));
    expect(answers.map((one) => one.status)).toContain(503);
    expect(answers.find((one) => one.status === 503)?.body).toMatchObject({ code: 'spool-full' });
  });

  test('a source that is not known because nothing is cached yet answers 503, never 401', async () => {
    await other.restart();
    other.away.database = true;
    expect(await other.deliver(push())).toMatchObject({ status: 503, body: { code: 'source-unknown-now' } });
  });
});

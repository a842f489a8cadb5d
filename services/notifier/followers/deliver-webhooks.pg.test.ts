import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import type { FollowerAnswer, FollowerBatch } from '#schemas/api/followers.ts';
import { BEGINNING, type CodebaseId, type Position } from '#schemas/brand.ts';
import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { createPostWebhook } from '#shared/runtime/post-webhook.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { deliverWebhooks, type DeliverDeps } from './deliver-webhooks.ts';
import { answerOf, createFollower, findFollower } from './follower-store.ts';
import { createFollowerWorld, type FollowerWorld } from './follower-world.fixture.ts';
import { MAKER_IS_NO_ADMIN } from './judge-webhook.ts';
import { dueWebhooks, redeliver } from './webhook-rows.ts';

const ACTOR = { kind: 'token', id: 'somebody' } as const;
const ID = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa' as CodebaseId;

let world: FollowerWorld;
let deps: { -readonly [K in keyof DeliverDeps]: DeliverDeps[K] } & { vault: ReturnType<typeof createMemorySecretVault> };
/** The engine's own token, and who else is one. */
let admins: Set<string>;
let secret: string;
let sent: { id: string; batch: FollowerBatch }[];
/** What the receiver does with each. */
let answer: (batch: FollowerBatch) => Promise<number> | number;

beforeAll(async () => { world = await createFollowerWorld(); });
afterAll(() => world.close());
beforeEach(async () => {
  await world.empty();
  sent = [];
  admins = new Set([ACTOR.id]);
  deps = {
    ...world.deps, pool: world.pool, projected: createPositionSignal(), now: () => new Date(), vault: createMemorySecretVault(), logger: createLogger('silent'), random: () => 0,
    store: { position: async () => (await world.pool.query<{ position: Position }>('select position from read_model.progress')).rows[0]?.position ?? BEGINNING },
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
    postPublic: async () => { throw new Error('not for this one'); },
    isSystemAdmin: async ({ id }) => admins.has(id),
    async post(_url, { headers, body }) {
      new Webhook(secret).verify(body, { ...headers });
      const batch = JSON.parse(body) as FollowerBatch;
      sent.push({ id: headers['webhook-id'] ?? '', batch });
      return { status: await answer(batch) };
    },
  };
  await world.register(ID);
  await world.push(ID, 'refs/heads/main', new Map([['a', '1']]));
  secret = (await createFollower(deps, ACTOR, { name: 'hook', all: true, webhook: { url: 'http://receiver/' } })).secret ?? '';
});

const shown = async (): Promise<FollowerAnswer> => answerOf(world.pool, world.deps.epoch, await findFollower(world.pool, ACTOR, 'hook'));

/** Runs workers until the state is there. */
async function deliverUntil(isThere: () => Promise<boolean> | boolean, workers = 1): Promise<void> {
  const stopping = new AbortController();
  const running = Array.from({ length: workers }, () => deliverWebhooks(deps, stopping.signal));
  const end = performance.now() + 60_000;
  try {
    while (!(await isThere())) {
      if (performance.now() > end) throw new Error(`waited in vain: ${JSON.stringify(await shown())}`);
      // A retry that is due later is due now.
      await world.pool.query('update follower_webhooks set next_try_at = now()');
      deps.projected.tell(BEGINNING);
      await sleep(10);
    }
  } finally {
    stopping.abort();
    await Promise.all(running);
  }
}

test('what was not taken comes again under the same id, what was taken does not; many workers send one after the other', async () => {
  let refusals = 3;
  let under = 0;
  answer = async () => {
    under += 1;
    expect(under).toBe(1);
    await sleep(5);
    under -= 1;
    return (refusals -= 1) >= 0 ? 500 : 204;
  };
  await deliverUntil(async () => (await shown()).position !== null, 3);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
  expect(sent).toHaveLength(4);
  expect(sent[0]?.batch.entries.map(({ op }) => op)).toEqual(['upsert', 'ref-moved', 'end']);
  expect(sent.map(({ batch }) => batch.attempt)).toEqual([...sent.map(({ batch }) => batch.attempt)].sort((one, other) => one - other));
  await world.push(ID, 'refs/heads/main', new Map([['a', '2']]));
  await deliverUntil(async () => sent.length === 5 && (await shown()).queuedGroups === 0);
  expect(sent[4]?.batch.after).toBe(sent[3]?.batch.cursor);
  expect((await shown()).webhook).toMatchObject({ state: 'active', failures: 0, lastError: null });
});

test('410 disables it until it is asked to deliver again', async () => {
  answer = () => 410;
  await deliverUntil(async () => (await shown()).webhook?.state === 'disabled');
  expect(sent).toHaveLength(1);
  answer = () => 200;
  await redeliver(world.pool, (await findFollower(world.pool, ACTOR, 'hook')).id);
  await deliverUntil(async () => (await shown()).position !== null);
  expect(sent).toHaveLength(2);
});

test('a worker whose lease has passed to another cannot acknowledge, whatever it was answered', async () => {
  answer = async () => {
    // Held up for so long that another has taken over.
    if (sent.length === 1) { await world.pool.query(`update follower_webhooks set lease = 'another', lease_until = now()`); return 200; }
    return 500;
  };
  await deliverUntil(() => sent.length > 1);
  expect(await shown()).toMatchObject({ position: null, lastAckAt: null, webhook: { state: 'failing', lastError: 'the receiver answered 500' } });
});

test('a receiver that does not come to an answer keeps no other waiting', async () => {
  const { post } = deps;
  let asked = 0;
  deps.post = async (url, options) => {
    if (url !== 'http://slow/') return post(url, options);
    asked += 1;
    await new Promise((_resolve, reject) => { options.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }); });
    return { status: 200 };
  };
  answer = () => 200;
  await createFollower(deps, ACTOR, { name: 'slow', all: true, webhook: { url: 'http://slow/' } });
  let isPushed = false;
  await deliverUntil(async () => {
    // Once: looked at again before it is delivered, it would be pushed again, and delivered thrice.
    if (sent.length === 1 && asked === 1 && !isPushed) {
      isPushed = true;
      await world.push(ID, 'refs/heads/main', new Map([['a', '2']]));
    }
    return sent.length === 2 && (await shown()).queuedGroups === 0;
  });
  expect(asked).toBe(1);
});

test('a webhook of somebody who is no system admin goes out by the way that leads to public addresses only, is told what they lose, and there are twenty of them at most', async () => {
  const ann = { kind: 'user', id: 'ann' } as const;
  const wish = (name: string) => ({ name, codebases: [ID], webhook: { url: 'https://receiver.example/' }, isPublicOnly: true });
  await createFollower(deps, ann, wish('public'));
  const told: FollowerBatch[] = [];
  answer = () => 200;
  deps.postPublic = async (_url, { body }) => { told.push(JSON.parse(body) as FollowerBatch); return { status: 200 }; };
  await deliverUntil(() => told.some(({ entries }) => entries.some(({ op }) => op === 'end')));
  expect(sent.every(({ batch }) => batch.follower === 'hook')).toBe(true);
  world.denied.add(ID);
  await deliverUntil(() => JSON.stringify(told).includes('access-lost'));

  for (let nth = 1; nth < 20; nth += 1) await createFollower(deps, ann, wish(`public-${nth}`));
  await expect(createFollower(deps, ann, wish('one-more'))).rejects.toMatchObject({ code: 'too-many-webhooks' });
  await expect(findFollower(world.pool, ann, 'one-more')).rejects.toMatchObject({ status: 404 });
  expect((await createFollower(deps, ann, wish('public-7'))).isNew).toBe(false);
  expect((await createFollower(deps, ann, { name: 'by-socket', codebases: [ID], isPublicOnly: true })).isNew).toBe(true);
});

test('a webhook that a system admin made to a private address goes there while they are one: not once they are none, with the reason in its state, and again when they are', async () => {
  const ann = { kind: 'user', id: 'ann' } as const;
  admins.add('ann');
  const wish = (name: string, url: string) => ({ name, codebases: [ID], webhook: { url, allowAddresses: ['10.0.0.0/8'] }, isPublicOnly: false });
  for (const [name, url] of [['inside', 'https://10.1.2.3/'], ['other-port', 'https://out.example:8443/'], ['outside', 'https://out.example/']] as const) await createFollower(deps, ann, wish(name, url));
  const went: { url: string; allowed: readonly string[]; isPublic: boolean }[] = [];
  // The real guard judges what is an address: what was allowed when it was made is nothing to it.
  const guarded = createPostWebhook(createAddressGuard({ allowed: [] }));
  deps.post = async (url, { allowAddresses }) => { went.push({ url, allowed: allowAddresses, isPublic: false }); return { status: 200 }; };
  deps.postPublic = async (url, options) => {
    if (url.includes('10.1')) return guarded(url, options);
    went.push({ url, allowed: options.allowAddresses, isPublic: true });
    return { status: 200 };
  };
  const stateOf = async (name: string) => (await answerOf(world.pool, world.deps.epoch, await findFollower(world.pool, ann, name))).webhook;
  const urls = () => went.filter(({ url }) => url.startsWith('https:')).map(({ url, isPublic }) => `${url} ${isPublic}`).sort();
  await deliverUntil(() => urls().length === 3);
  expect(urls()).toEqual(['https://10.1.2.3/ false', 'https://out.example/ false', 'https://out.example:8443/ false']);

  admins.delete('ann');
  went.length = 0;
  await world.push(ID, 'refs/heads/main', new Map([['a', '2']]));
  await deliverUntil(async () => (await stateOf('inside'))?.state === 'failing' && (await stateOf('other-port'))?.state === 'failing' && urls().length === 1);
  expect(went.filter(({ url }) => url.startsWith('https:'))).toEqual([{ url: 'https://out.example/', allowed: [], isPublic: true }]);
  for (const name of ['inside', 'other-port']) expect([name, (await stateOf(name))?.lastError]).toEqual([name, MAKER_IS_NO_ADMIN]);

  admins.add('ann');
  went.length = 0;
  await deliverUntil(() => urls().length === 2);
  expect(urls()).toEqual(['https://10.1.2.3/ false', 'https://out.example:8443/ false']);
  expect(await stateOf('inside')).toMatchObject({ state: 'active', failures: 0, lastError: null });
});

test('while nobody can tell whether its maker is a system admin, nothing goes out for them', async () => {
  deps.isSystemAdmin = async () => { asked += 1; throw new Unavailable('postgres', 'away'); };
  let asked = 0;
  answer = () => 200;
  await deliverUntil(() => asked > 3);
  expect([sent, (await shown()).position]).toEqual([[], null]);
});

test('wishes that are refused keep no secret, and of many at once no more than twenty are taken', async () => {
  const ben = { kind: 'user', id: 'ben' } as const;
  const kept = new Set<string>();
  let puts = 0;
  const vault = { put: async (name: string) => { puts += 1; kept.add(name); }, delete: async (name: string) => { kept.delete(name); } };
  const wishes = (from: number) => Promise.allSettled(Array.from({ length: 30 }, (_, nth) =>
    createFollower({ ...deps, vault }, ben, { name: `hook-${from + nth}`, codebases: [ID], webhook: { url: 'https://receiver.example/' }, isPublicOnly: true })));
  const made = (await wishes(0)).filter(({ status }) => status === 'fulfilled');
  expect([made.length, kept.size]).toEqual([20, 20]);
  puts = 0;
  expect((await wishes(30)).map((one) => one.status === 'rejected' && (one.reason as { code: string }).code)).toEqual(Array(30).fill('too-many-webhooks'));
  expect([puts, kept.size]).toEqual([0, 20]);
});

test('however many have nothing to be told, none that has waits behind them for ever', async () => {
  await world.pool.query(`with idle as (insert into followers (follower_id, actor_kind, actor_id, name, scope, created_at)
      select 'idle-' || n, 'token', 'others', 'idle-' || n, '{"codebases":[]}'::json, '2027-01-01T00:00:00Z' from generate_series(1, 1500) n returning follower_id)
    insert into follower_webhooks (follower_id, url, next_try_at) select follower_id, 'http://receiver/', '2020-01-01' from idle`);
  const { id } = await findFollower(world.pool, ACTOR, 'hook');
  const due = await dueWebhooks(world.pool);
  expect([due.length, due.some((one) => one.id === id)]).toEqual([1_501, true]);
});

import type { SourceId } from '#schemas/brand.ts';
import { createKnownSecrets } from './known-secrets.ts';

const SOURCE = '00000000-0000-4000-8000-000000000001' as SourceId;
const HOUR_MS = 3_600_000;

test('a clock that is set back an hour does not keep an old secret for an hour', async () => {
  let [now, token] = [HOUR_MS, 'old'];
  const known = createKnownSecrets({ sources: { webhookSecrets: async () => ({ tokens: [token], signingTokens: [] }), dropFormerSecrets: async () => {} }, store: { haveHooksSecrets: async () => true }, now: () => new Date(now) });
  await known.of(SOURCE);
  [now, token] = [0, 'new'];
  expect((await known.of(SOURCE))?.tokens).toEqual(['new']);
});

describe('secrets from before a change', () => {
  const changed = { tokens: ['new', 'old'], signingTokens: ['whsec_new', 'whsec_old'], revision: 3, formerUntil: new Date(24 * HOUR_MS) };
  const open = (haveHooksSecrets: boolean) => {
    const world = { now: 0, haveHooksSecrets, looks: 0, dropped: [] as number[] };
    const known = createKnownSecrets({
      sources: { webhookSecrets: async () => { world.looks += 1; return changed; }, dropFormerSecrets: async (_source, revision) => { world.dropped.push(revision); } },
      store: { haveHooksSecrets: async (_source, revision) => revision === 3 && world.haveHooksSecrets }, now: () => new Date(world.now),
    });
    return { world, tokens: async () => { const good = await known.of(SOURCE); return [good?.tokens, good?.signingTokens]; }, known };
  };
  const [both, newOnes] = [[['new', 'old'], ['whsec_new', 'whsec_old']], [['new'], ['whsec_new']]];

  test('are good while a webhook may have them, for a day at most', async () => {
    const { world, tokens } = open(false);
    expect(await tokens()).toEqual(both);
    world.now = 24 * HOUR_MS - 1;
    expect([await tokens(), world.dropped]).toEqual([both, []]);
    world.now = 25 * HOUR_MS;
    expect([await tokens(), world.dropped]).toEqual([newOnes, [3]]);
  });

  test('are refused, and forgotten, as soon as every webhook is known to have the new ones', async () => {
    const { world, tokens } = open(false);
    expect(await tokens()).toEqual(both);
    world.haveHooksSecrets = true;
    world.now = 11_000;
    expect([await tokens(), world.dropped]).toEqual([newOnes, [3]]);
  });

  test('for what nothing fits they are looked up anew, once a second at most', async () => {
    const { world, known } = open(true);
    await known.of(SOURCE);
    world.now = 999;
    for (let deliveries = 0; deliveries < 100; deliveries += 1) await known.afresh(SOURCE);
    expect(world.looks).toBe(1);
    world.now = 1_000;
    await known.afresh(SOURCE);
    expect(world.looks).toBe(2);
  });
});

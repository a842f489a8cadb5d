import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { eventsOf, startSystem, until, type System } from '../harness/system.ts';
import type { Chance, Drill, DrillRun } from './drill.ts';
import { followFleet, type Followed } from './fleet.ts';
import { expectAllHeld, untilSameHeads } from './held.ts';
import { listenLive } from './live-ear.ts';
import { watchMemory } from './memory.ts';

const run = promisify(execFile);
const SIGNING_TOKEN = `whsec_${randomBytes(32).toString('base64')}`;
const CONNECTIONS = 64;
/** Sent again, by a GitLab that heard no answer. */
const REPEATED_SHARE = 0.05;
/** Real moves of the heads meanwhile, told by nothing but the burst. */
const MOVES = 20;
/** An engine at rest takes some 250 MiB; what the burst adds must not follow from how many there are. */
const MEMORY_MIB_MAX = 700;
/** The hints of a codebase that wait are gone through one after the other: seconds, minutes where others have the disk. */
const WORKED_MS_MAX = 400_000;

export const burst: Drill = {
  name: 'burst',
  says: '10,000 deliveries as fast as they can be sent: each is answered and in the log once, syncs are taken together, reads and the live stream go on (I1, I2, I12)',
  minutesMax: 3,
  run: sendBurst,
};

async function sendBurst({ chance, isShort, note }: DrillRun): Promise<string> {
  const system = await startSystem({ signingToken: SIGNING_TOKEN });
  const ear = listenLive(system);
  try {
    const fleet = await followFleet(system, { count: isShort ? 3 : 8, name: 'hurried' });
    for (const one of fleet) await pushMain(one, chance);
    for (const one of fleet) await untilSameHeads(system, one);
    // From now on GitLab's own hooks say nothing: the burst does.
    await system.gitlab.admin('GET', '/idle');
    await system.gitlab.admin('POST', '/faults', { kind: 'hook', action: 'drop' });
    await system.gitlab.admin('DELETE', '/requests');
    const watch = watchMemory();
    const reading = readAlong(system, fleet, chance);
    const began = performance.now();
    const sent = await sendAll(system, { fleet, chance, deliveries: isShort ? 1_000 : 10_000 });
    const sentMs = performance.now() - began;
    note(`${sent.ids.size} deliveries in ${(sentMs / 1_000).toFixed(1)} s`);
    await untilWorked(system, fleet);
    for (const one of fleet) await untilSameHeads(system, one);
    const workedMs = performance.now() - began;
    const reads = await reading.stop();
    const { peakMiB } = watch.stop();
    const asked = await system.gitlab.admin<{ count: number }>('GET', '/requests?path=info%2Frefs%5C%3Fservice%3Dgit-upload-pack');
    await expectTakenOnce(system, { fleet, ids: sent.ids, asked: asked.count });
    await until('the live stream has told all of them', () => heardOf(ear.heard, sent.ids).length >= sent.ids.size);
    assert.equal(heardOf(ear.heard, sent.ids).length, sent.ids.size, 'the live stream told each of them once');
    assert.ok(peakMiB <= MEMORY_MIB_MAX, `the engine took ${peakMiB} MiB, more than ${MEMORY_MIB_MAX}`);
    await expectAllHeld(system, fleet);
    return `${sent.ids.size} deliveries and ${sent.repeated} repeated in ${(sentMs / 1_000).toFixed(1)} s (${Math.round(sent.ids.size / sentMs * 1_000)} a second, answered after ${quantile(sent.answeredMs, 0.5)} ms (median), ${quantile(sent.answeredMs, 0.99)} ms (p99); ${sent.refused} sent again), worked off after ${(workedMs / 1_000).toFixed(1)} s with ${asked.count} git fetches; ${reads.length} reads meanwhile, p95 ${quantile(reads, 0.95)} ms; memory at most ${peakMiB} MiB`;
  } finally {
    await ear.stop();
    await system.stop();
  }
}

async function pushMain({ repository, heads }: Followed, { random }: Chance): Promise<void> {
  heads.set('main', repository.commit('main', [{ path: 'moved', content: `${random()}\n` }]));
  // Asynchronous: whoever waits for git sends nothing.
  await run('git', ['push', '-q', 'origin', 'main'], { cwd: repository.dir });
}

interface Sent { readonly ids: ReadonlySet<string>; readonly repeated: number; readonly refused: number; readonly answeredMs: readonly number[] }

/** As many as there are connections at a time. The heads really move meanwhile; the last hundred come when they stand. */
async function sendAll(system: System, { fleet, chance, deliveries }: { fleet: readonly Followed[]; chance: Chance; deliveries: number }): Promise<Sent> {
  const pool = new Pool(system.url, { connections: CONNECTIONS });
  const path = `/webhooks/gitlab/${await system.sourceId()}`;
  const before = new Map(fleet.map(({ codebase, heads }) => [codebase, heads.get('main')!]));
  const moving = (async () => { for (let n = 0; n < MOVES; n += 1) await pushMain(fleet[n % fleet.length]!, chance); })();
  const ids = new Set<string>();
  const answeredMs: number[] = [];
  const counted = { repeated: 0, refused: 0 };
  const send = async (id: string, one: Followed) => {
    const body = JSON.stringify(payloadOf(one, before.get(one.codebase)!));
    for (;;) {
      const from = performance.now();
      const response = await pool.request({ path, method: 'POST', headers: signed(id, body), body });
      const text = await response.body.text();
      if (response.statusCode >= 200 && response.statusCode < 300) { answeredMs.push(Math.round(performance.now() - from)); return; }
      const retryAfterS = Number(response.headers['retry-after']);
      assert.ok((response.statusCode === 429 || response.statusCode === 503) && retryAfterS > 0, `a delivery was answered ${response.statusCode}: ${text}`);
      counted.refused += 1;
      await sleep(retryAfterS * 1_000);
    }
  };
  let next = 0;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let n = next++; n < deliveries; n = next++) {
      if (n >= deliveries - 100) await moving;
      const one = fleet[n % fleet.length]!;
      const id = randomUUID();
      ids.add(id);
      const isRepeated = chance.random() < REPEATED_SHARE;
      // At the same moment: who comes second must find the first.
      await Promise.all(isRepeated ? [send(id, one), send(id, one)] : [send(id, one)]);
      if (isRepeated) counted.repeated += 1;
    }
  }));
  await pool.close();
  return { ids, ...counted, answeredMs };
}

/** What of GitLab's payload is looked at, and about as long as one of a single commit. */
function payloadOf({ project, heads }: Followed, before: string): object {
  const after = heads.get('main')!;
  return { object_kind: 'push', event_name: 'push', before, after, ref: 'refs/heads/main', checkout_sha: after, project_id: project, project: { id: project, default_branch: 'main' }, commits: [{ id: after, message: 'x'.repeat(2_000) }], total_commits_count: 1 };
}

function signed(id: string, body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = createHmac('sha256', Buffer.from(SIGNING_TOKEN.slice('whsec_'.length), 'base64')).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'content-type': 'application/json', 'user-agent': 'GitLab/19.1.0-ee', 'x-gitlab-event': 'Push Hook', 'idempotency-key': id, 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

/** One reader, who reads on whatever comes in. */
function readAlong(system: System, fleet: readonly Followed[], { oneOf }: Chance): { stop(): Promise<number[]> } {
  let isStopped = false;
  const tookMs: number[] = [];
  const reading = (async () => {
    while (!isStopped) {
      const from = performance.now();
      const read = () => system.ask('GET', `/v1/codebases/${oneOf(fleet).codebase}/files/d0/f0`);
      // A connection that stood idle may be closed at the very moment of its next request: any client tries again.
      const answer = await read().catch(read);
      assert.equal(answer.status, 200, 'a read during the burst');
      tookMs.push(Math.round(performance.now() - from));
      await sleep(20);
    }
  })();
  reading.catch(() => undefined);
  return { stop: async () => { isStopped = true; await reading; return tookMs; } };
}

/** Every hint has led to a sync that has ended. */
async function untilWorked(system: System, fleet: readonly Followed[]): Promise<void> {
  for (const { codebase } of fleet) {
    await until(`every hint of ${codebase} is worked off`, async () => (await system.ask('GET', `/v1/codebases/${codebase}`)).json<{ head: { isHintWaiting: boolean } }>().head.isHintWaiting === false, WORKED_MS_MAX);
  }
}

/** I1, I2: each is one fact, and together they were little work. */
async function expectTakenOnce(system: System, { fleet, ids, asked }: { fleet: readonly Followed[]; ids: ReadonlySet<string>; asked: number }): Promise<void> {
  const recorded: string[] = [];
  for (const { codebase } of fleet) recorded.push(...(await eventsOf(system, `key=${codebase}&type=push.received`)).map(({ data }) => data.deliveryId as string).filter((id) => ids.has(id)));
  assert.equal(new Set(recorded).size, recorded.length, 'a delivery is in the log twice');
  assert.equal(recorded.length, ids.size, 'deliveries that were answered 2xx are not in the log');
  assert.ok(asked <= ids.size / 10, `${ids.size} hints led to ${asked} git fetches: they were not taken together`);
}

const heardOf = (heard: readonly { type: string; data: { deliveryId?: string } }[], ids: ReadonlySet<string>) => heard.filter(({ type, data }) => type === 'push.received' && ids.has(data.deliveryId ?? ''));
const quantile = (figures: readonly number[], share: number) => [...figures].sort((one, other) => one - other)[Math.min(figures.length - 1, Math.floor(figures.length * share))];

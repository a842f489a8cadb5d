import type { CodebaseId, FactId, RefName } from '#schemas/brand.ts';
import { syncIdOf } from '#schemas/ids.ts';
import { CAUSE_ID, CODEBASE_ID, codebaseAnswer, COMMIT, receiptAnswer, scriptedEngine, SOURCE_ID, syncAnswer, TIME, TOKEN, TREE, type LiveScript, type ScriptedEngine } from '#shared/api-client/scripted-engine.fixture.ts';
import { createApiClient } from '#shared/api-client/api-client.ts';
import { sink, tekai, untilAborted } from './cli-run.fixture.ts';
import { createProgressDisplay } from './progress-display.ts';
import { watchSyncs } from './watch-syncs.ts';

const [codebase, cause, main, other] = [CODEBASE_ID as CodebaseId, CAUSE_ID as FactId, 'refs/heads/main' as RefName, 'refs/heads/other' as RefName];
const syncOf = (ref: RefName, by: FactId = cause) => syncIdOf(by, codebase, ref);
const SYNCS = `/v1/syncs?cause=${CAUSE_ID}&limit=1000`;

let engine: ScriptedEngine;
let stderr: ReturnType<typeof sink>;
beforeEach(async () => {
  engine = await scriptedEngine();
  engine.answer(`GET ${SYNCS}`, { syncs: [] });
  stderr = sink();
});
afterEach(() => engine.stop());

const watch = (refs: readonly RefName[] | 'first', sleep: (ms: number, signal: AbortSignal) => Promise<void> = (_ms, signal) => untilAborted(signal)) =>
  watchSyncs({ client: createApiClient({ url: engine.url, token: TOKEN }), display: createProgressDisplay({ stderr, now: () => new Date(0) }), sleep }, { codebase, cause, refs });

const skipped = (ref: RefName, more: object = {}) => ({ syncId: syncOf(ref), codebaseId: codebase, ref, reason: 'up-to-date', coveredBy: null, commit: COMMIT, defaultRef: main, observedAt: TIME, hintReached: null, ...more });

interface Told { readonly type: string; readonly data: { syncId: string } }

/** The engine tells these facts once the client has looked at `looks` syncs, and only then its API knows what became of them. */
function tells(facts: readonly Told[], { looks = 1 } = {}): LiveScript {
  return (line) => {
    line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true });
    const tell = () => {
      if (engine.asked.filter(({ url }) => url.startsWith('/v1/syncs')).length < 1 + looks) { setImmediate(tell); return; }
      for (const { type, data } of facts) engine.answer(`GET /v1/syncs/${data.syncId}`, syncAnswer({ ...data, id: data.syncId, state: STATES[type], codebaseId: codebase }));
      for (const [at, { type, data }] of facts.entries()) line.send({ op: 'pub', ch: line.ch, position: `e-${at + 1}`, previous: `e-${at}`, type, id: CAUSE_ID, time: TIME, key: codebase, data });
    };
    tell();
  };
}
const STATES: Record<string, string> = { 'sync.skipped': 'skipped', 'codebase.stored': 'stored', 'sync.failed': 'failed' };
const end = (type: string, data: { syncId: string; ref: RefName }): Told => ({ type, data });

test('the syncs of all known refs are waited for, and those of others are passed over', async () => {
  const stranger = '00000000-0000-4000-8000-000000000001' as FactId;
  engine.live(tells([end('sync.skipped', skipped(main, { syncId: syncOf(main, stranger) })), end('sync.skipped', skipped(main)), end('sync.skipped', skipped(other))], { looks: 2 }));
  expect((await watch([main, other])).map((sync) => sync.ref).sort()).toEqual([main, other]);
  expect(stderr.written().toString()).toBe('  sync.skipped  main, up to date\n  sync.skipped  other, up to date\n');
});

test('where no ref is known, the first sync of the cause is waited for', async () => {
  engine.live(tells([end('sync.skipped', skipped(main))], { looks: 0 }));
  expect((await watch('first')).map((sync) => sync.ref)).toEqual([main]);
});

test('a sync that had ended before anybody listened is found', async () => {
  engine.answer(`GET ${SYNCS}`, { syncs: [syncAnswer({ id: syncOf(main) })] });
  engine.live(tells([]));
  expect((await watch([main])).map((sync) => sync.state)).toEqual(['stored']);
});

test('what a newer hint took over is waited for there', async () => {
  const newer = '00000000-0000-4000-8000-000000000002' as FactId;
  const covering = syncOf(main, newer);
  engine.live(tells([end('sync.skipped', skipped(main, { reason: 'newer-hint', coveredBy: covering, commit: null, observedAt: null })), end('sync.skipped', skipped(main, { syncId: covering }))]));
  expect((await watch([main])).map((sync) => sync.id)).toEqual([syncOf(main), covering]);
});

test('a lost connection in the middle loses no end', async () => {
  const theEnd = tells([end('sync.skipped', skipped(main))], { looks: 3 });
  engine.live((line) => { line.send({ op: 'subscribed', ch: line.ch, position: 'e-0', recovered: true }); line.cut(); }, theEnd);
  expect(await watch([main])).toHaveLength(1);
  expect(stderr.written().toString()).toContain('The connection was lost');
});

test('work that was set aside is not waited for', async () => {
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}`, codebaseAnswer({ refs: 0, head: null, unfolded: 0, parked: [{ group: 'fetcher', reason: 'failed 5 times', since: TIME, type: 'sync.failed', facts: 1 }] }));
  engine.live(tells([]));
  let hasSlept = false;
  const sleepOnce = (_ms: number, signal: AbortSignal) => (hasSlept ? untilAborted(signal) : new Promise<void>((resolve) => { hasSlept = true; resolve(); }));
  await expect(watch([main], sleepOnce)).rejects.toThrow(`set aside by fetcher: failed 5 times. Mend the cause, then "tekai redrive fetcher ${CODEBASE_ID}".`);
});

test('progress is a line a step where there is no terminal', async () => {
  const moved = (step: 'fetch' | 'store', objectsDone: number, objectsTotal: number | null) => ({ syncId: syncOf(main), codebaseId: codebase, ref: main, step, objectsDone, objectsTotal, bytesDone: objectsDone * 1_000 });
  const done = tells([end('sync.skipped', skipped(main))]);
  engine.live((line) => {
    for (const progress of [moved('fetch', 0, null), moved('fetch', 5, null), moved('store', 1_500, 3_000)]) line.send({ op: 'progress', ch: line.ch, progress });
    done(line);
  });
  await watch([main]);
  expect(stderr.written().toString()).toBe('  main  fetching  0 B\n  main  storing  1,500 of 3,000 objects, 1.5 MB\n  sync.skipped  main, up to date\n');
});

test('progress is a bar on a terminal, and gone when the work is', async () => {
  const tty = sink({ isTTY: true });
  const display = createProgressDisplay({ stderr: tty, now: () => new Date(0) });
  const progress = { syncId: syncOf(main), codebaseId: codebase, ref: main, step: 'store' as const, objectsDone: 50, objectsTotal: 100, bytesDone: 1_000 };
  display.moved(progress);
  display.said('stays');
  display.moved({ ...progress, step: 'fetch', objectsTotal: null });
  display.end();
  const written = tty.written().toString();
  expect(written).toMatch(/main {2}storing {2}={15} {15} {2}50 of 100 objects, 1\.0 kB/);
  expect(written).toContain('stays\n');
  // A bar of an unknown whole would be full at once.
  expect(written.split('stays\n')[1]).toMatch(/main {2}fetching {2}50 objects/);
  expect(written.split('stays\n')[1]).not.toContain('=');
});

test('codebase add follows the project and shows its first sync', async () => {
  engine.answer('GET /v1/sources', { sources: [{ id: SOURCE_ID, name: 'work', baseUrl: 'https://gitlab.example.com', registeredAt: TIME, revision: 0 }] });
  engine.answer('POST /v1/codebases', { id: codebase, cause, syncs: `/v1/syncs?cause=${cause}`, how: 'registered' }, { status: 201 });
  const state = { syncId: syncOf(main), codebaseId: codebase, ref: main, commit: COMMIT, commitTime: TIME, tree: TREE, objectFormat: 'sha1', defaultRef: main, observedAt: TIME, hintReached: null, counts: { commits: 1, trees: 2, blobs: 3 }, objectsAdded: 6 };
  engine.live(tells([end('codebase.stored', state)], { looks: 0 }));
  const ran = await tekai(['codebase', 'add', 'work', 'team/app', '--branches', 'main,release/*', '--tags', 'v*'], { url: engine.url });
  expect(JSON.parse(engine.asked.find((one) => one.method === 'POST')?.body ?? '')).toEqual({ sourceId: SOURCE_ID, gitlabProject: 'team/app', followed: { branches: ['main', 'release/*'], tags: ['v*'] } });
  expect(ran.stdout).toContain('main is at 00990f0085, stored and verified: 6 new objects');
  expect(ran.stderr).toContain('codebase.stored  main at 00990f0085, verified, 6 objects added');
  expect(ran.code).toBe(0);

  const numbered = await tekai(['codebase', 'add', 'work', '42', '--no-wait', '--json'], { url: engine.url });
  expect(JSON.parse(engine.asked.at(-1)?.body ?? '')).toMatchObject({ gitlabProject: 42, followed: { branches: ['*'], tags: [] } });
  expect(JSON.parse(numbered.stdout)).toEqual({ id: codebase, cause, syncs: [] });
});

test('sync of one branch fails when the sync does, in its words', async () => {
  engine.answer('GET /v1/codebases?limit=1000', { codebases: [codebaseAnswer()], next: null });
  engine.answer(`GET /v1/codebases/${CODEBASE_ID}/refs`, { defaultRef: main, refs: [{ ...receiptAnswer(), commitTime: TIME, sync: syncOf(main) }] });
  engine.answer(`POST /v1/codebases/${CODEBASE_ID}/syncs`, { cause, sync: syncOf(other), url: `/v1/syncs/${syncOf(other)}` }, { status: 202 });
  const failed = { syncId: syncOf(other), codebaseId: codebase, ref: other, step: 'store', reason: 'object-missing', detail: 'blob 123 is nowhere', attempt: 1 };
  engine.live(tells([end('sync.failed', failed)]));
  const ran = await tekai(['sync', 'app', '--ref', 'other'], { url: engine.url });
  expect(engine.asked.find((one) => one.method === 'POST')?.body).toBe('{"ref":"refs/heads/other"}');
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain('other failed (object-missing): blob 123 is nowhere');
});

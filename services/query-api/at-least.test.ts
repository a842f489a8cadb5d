import type { FactId, RefName, StreamName } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { APP, at, commitOf, MAIN, openWorld, syncView, time, uuid, versionView, type World } from './query-api-world.fixture.ts';

let world: World;
beforeEach(async () => { world = await openWorld(); });
afterEach(() => world.stop());

const VERSIONS = `/v1/codebases/${APP}/versions`;
const CAUSE = uuid(900) as FactId;
const read = (query: string, more = '') => world.ask(`${VERSIONS}?${query}${more}`);

/** As a projector does: tables first, then the word. Without the word it is another process's. */
function fold(n: number, change: Partial<World['model']>, { isTold = true } = {}): void {
  world.model = { ...world.model, ...change, position: at(n), facts: [...world.model.facts, { position: at(n), key: APP, stream: 'sync-x' as StreamName, revision: 0, type: 'codebase.stored' }] };
  if (isTold) world.projected.tell(at(n));
}

/** The wait stands: nothing else tells, and the tables are looked at by nobody else. */
async function untilWaiting(before: number): Promise<void> {
  while (world.looks < before + 4) await new Promise((resolve) => { setImmediate(resolve); });
}

/** So many requests wait. */
async function untilSoMany(waiting: number): Promise<void> {
  for (const end = performance.now() + 20_000; world.waiting !== waiting && performance.now() < end;) await new Promise((resolve) => { setTimeout(resolve, 5); });
  expect(world.waiting).toBe(waiting);
}

test.each([true, false])('a read waits until the commit is a version, told in this process (%s) or in another', async (isTold) => {
  const before = world.looks;
  const waiting = read(`atLeast=${commitOf(7)}&wait=30s`);
  await untilWaiting(before);
  fold(6, { versions: [versionView(6)] }, { isTold });
  fold(7, { versions: [versionView(6), versionView(7)] }, { isTold });
  const answer = await waiting;
  expect([answer.status, answer.json().versions[0].commit]).toEqual([200, commitOf(7)]);
});

test('of the ref asked for, when one is: a commit of another ref is not it; a deleted ref had it', async () => {
  fold(3, { versions: [versionView(1, 'refs/heads/side', 7), versionView(2, 'refs/heads/gone', 8), versionView(3, 'refs/heads/gone', null)] });
  expect((await read(`atLeast=${commitOf(7)}`)).status).toBe(200);
  expect((await read(`atLeast=${commitOf(7)}&ref=side`)).status).toBe(200);
  expect((await read(`atLeast=${commitOf(7)}&ref=main`)).status).toBe(202);
  expect((await read(`atLeast=${commitOf(8)}&ref=refs/heads/gone`)).status).toBe(200);
});

test('a position is reached when the tables are, and one of another log is 410', async () => {
  const wanted = positionOutside(world.epoch, at(5));
  fold(4, {});
  expect((await read(`atLeast=${wanted}`)).status).toBe(202);
  const before = world.looks;
  const waiting = read(`atLeast=${wanted}&wait=30s`);
  await untilWaiting(before);
  fold(5, {});
  expect((await waiting).status).toBe(200);
  expect((await read(`atLeast=${positionOutside('another', at(1))}`)).status).toBe(410);
});

test('a cause is reached when GitLab was asked after it and what it had is stored, also by a later attempt', async () => {
  world.model.facts = [{ position: at(4), key: APP, stream: 'command-x' as StreamName, revision: 0, type: 'sync.requested', id: CAUSE, time: time(10), correlationId: 'c' }];
  fold(5, { versions: [versionView(5)] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(202);
  fold(6, { syncs: [syncView(1, { cause: CAUSE, state: 'waiting', endedAt: null })] });
  expect((await read(`atLeast=${CAUSE}`)).json()).toMatchObject({ syncs: [{ id: uuid(1), state: 'waiting', ref: MAIN }] });
  fold(7, { syncs: [syncView(1, { cause: CAUSE, state: 'failed', reason: 'pack-damaged' })] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(202);
  fold(8, { versions: [{ ...versionView(5), observedAt: time(11) }] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(200);
  fold(9, { versions: [], syncs: [syncView(1, { cause: CAUSE, state: 'skipped', reason: 'nothing-there' })] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(200);
  world.model.facts = world.model.facts.map((fact) => ({ ...fact, key: 'another' }));
  expect((await read(`atLeast=${CAUSE}`)).json().code).toBe('cause-of-another-codebase');
});

test('a commit that was pushed over before anybody fetched it counts once what was pushed over it is there', async () => {
  const [a, b, c] = [commitOf(0xa), commitOf(0xb), commitOf(0xc)];
  const hints = [[a, b], [b, c]] as const;
  for (const [n, [before, after]] of hints.entries()) {
    const stream = `delivery-s-${n}` as StreamName;
    await world.log.append(stream, 'noStream', [newFact({
      type: 'push.received', key: APP, actor: { kind: 'gitlab', id: 's' }, correlationId: uuid(n), causationId: null, time: new Date(),
      data: { deliveryId: uuid(n), sourceId: uuid(5) as never, codebaseId: APP, gitlabProjectId: 15 as never, refs: [{ ref: MAIN as RefName, before, after }], body: { bytes: 2, sha256: '0'.repeat(64) } },
    })]);
    world.model.facts = [...world.model.facts, { position: at(n + 1), key: APP, stream, revision: 0, type: 'push.received' }];
  }
  expect((await read(`atLeast=${b}`)).status).toBe(202);
  fold(9, { versions: [versionView(9, MAIN, 0xc)] });
  expect((await read(`atLeast=${b}&ref=main`)).status).toBe(200);
  expect((await read(`atLeast=${b}&ref=side`)).status).toBe(202);
  expect((await read(`atLeast=${commitOf(0xd)}`)).status).toBe(202);
});

test('what does not come is 202: what is under way, what is parked, when to ask again, and no tag', async () => {
  world.parked = [{ group: 'fetcher', key: APP, reason: 'poison', since: time(1), position: at(1), type: 't', facts: 1 }];
  const answer = await read(`atLeast=${commitOf(1)}&wait=20ms`);
  expect([answer.status, answer.headers['retry-after'], answer.headers['etag'], answer.headers['cache-control']]).toEqual([202, '1', undefined, 'no-store']);
  expect(answer.json()).toMatchObject({ status: 202, code: 'not-yet', codebase: APP, position: positionOutside(world.epoch, at(0)), parked: [{ group: 'fetcher', reason: 'poison' }], detail: expect.stringContaining('redrive') });
  expect((await world.ask(`/v1/codebases/${uuid(77)}/refs?atLeast=${commitOf(1)}&wait=20ms`)).status).toBe(404);
});

test('a client that goes away frees its place, and a stop answers who still waits', async () => {
  const gone = new AbortController();
  const before = world.looks;
  const left = read(`atLeast=${commitOf(1)}&wait=30s`).catch(() => 'never');
  const leaving = world.ask(`${VERSIONS}?atLeast=${commitOf(1)}&wait=30s`, { signal: gone.signal }).catch(() => 'gone');
  await untilWaiting(before + 4);
  await untilSoMany(2);
  gone.abort();
  expect(await leaving).toBe('gone');
  // Long before its 30 s are over.
  await untilSoMany(1);
  await world.service.stop();
  expect(await left).toMatchObject({ status: 202 });
  // Nobody waits: nobody looks.
  await new Promise((resolve) => { setTimeout(resolve, 60); });
  const after = world.looks;
  await new Promise((resolve) => { setTimeout(resolve, 150); });
  expect(world.looks).toBe(after);
});

test('a clock that was set back between the cause and its sync hides nothing of what it brought', async () => {
  world.model.facts = [{ position: at(4), key: APP, stream: 'command-x' as StreamName, revision: 0, type: 'sync.requested', id: CAUSE, time: time(10), correlationId: 'c' }];
  fold(5, { versions: [{ ...versionView(5), observedAt: time(1) }], syncs: [syncView(1, { cause: CAUSE, state: 'scanned', endedAt: null })] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(202);
  fold(6, { syncs: [syncView(1, { cause: CAUSE, state: 'stored' })] });
  expect((await read(`atLeast=${CAUSE}`)).status).toBe(200);
});

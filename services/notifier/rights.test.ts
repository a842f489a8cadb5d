import type { ServerFrame } from '#schemas/live/frames.ts';
import type { RightsAsked, RightsFound } from '#shared/read-store/read-store.ts';
import { openSocket } from './live-clients.fixture.ts';
import { ANN, createNotifierBench, KEY_A, PROJECT } from './notifier-bench.fixture.ts';
import { createRights } from './rights.ts';

const [CODEBASE, OTHER] = [`codebase:${KEY_A}`, 'codebase:other'];
const may = (...codebases: string[]): ReadonlyMap<string, RightsFound> => new Map([['ann', { codebases: new Set(codebases), projects: new Set() }]]);

/** Looks that end when the test says. */
function openLooks() {
  const looks: { asked: readonly RightsAsked[]; answer(found: ReadonlyMap<string, RightsFound>): void }[] = [];
  const rights = createRights({ projectsOf: () => [], rightsOf: (asked) => new Promise((answer) => { looks.push({ asked, answer }); }) });
  return { looks, rights };
}

test('looks follow each other, and who asks while one is under way shares the next: an older one is never believed after a newer', async () => {
  const { looks, rights } = openLooks();
  const hearing = rights.hold({ user: 'ann', channels: [CODEBASE] });
  const first = rights.look();
  const later = [rights.look(), rights.look(), rights.look()];
  expect(looks.length).toBe(1);
  looks[0]?.answer(may(KEY_A));
  await first;
  expect([hearing.refused(), hearing.mayHearOf(KEY_A)]).toEqual([undefined, true]);
  await new Promise(setImmediate);
  looks[1]?.answer(may());
  await Promise.all(later);
  expect([looks.length, hearing.refused(), hearing.mayHearOf(KEY_A)]).toEqual([2, CODEBASE, false]);
});

test('a look that failed keeps nobody from the next, and takes nothing', async () => {
  let tries = 0;
  const rights = createRights({ projectsOf: () => [], rightsOf: async () => { tries += 1; if (tries === 2) throw new Error('the database is away'); return may(KEY_A); } });
  const hearing = rights.hold({ user: 'ann', channels: [CODEBASE] });
  await rights.look();
  const [failed, next] = [rights.look(), rights.look()];
  await expect(failed).rejects.toThrow('away');
  await next;
  expect([tries, hearing.mayHearOf(KEY_A)]).toEqual([3, true]);
});

test('who began to listen while a look was under way is not judged by it, and what is lost is lost for good', async () => {
  const { looks, rights } = openLooks();
  const first = rights.hold({ user: 'ann', channels: [CODEBASE] });
  const lost: string[] = [];
  first.onLost(() => lost.push('first'));
  const looking = rights.look();
  const second = rights.hold({ user: 'ann', channels: [OTHER] });
  looks[0]?.answer(may(KEY_A));
  await looking;
  expect([second.refused(), second.mayHearOf('other'), lost]).toEqual([undefined, false, []]);
  const again = rights.look();
  expect(looks[1]?.asked).toEqual([{ user: 'ann', codebases: [KEY_A, 'other'], projects: [] }]);
  looks[1]?.answer(may('other'));
  await again;
  expect([first.refused(), second.refused(), lost]).toEqual([CODEBASE, undefined, ['first']]);
  const regained = rights.look();
  looks[2]?.answer(may('other', KEY_A));
  await regained;
  expect([first.refused(), first.mayHearOf(KEY_A), lost]).toEqual([CODEBASE, false, ['first']]);
});

test('a thousand sockets of who is no system admin cost a look when rights change, and none for a fact', async () => {
  const bench = createNotifierBench();
  await bench.setReads(KEY_A, true);
  await bench.setPerson(true);
  await bench.setMember(KEY_A, true);
  bench.project();
  const notifier = bench.startNotifier();
  const told: ServerFrame[] = [];
  const clients = Array.from({ length: 1_000 }, () => openSocket(notifier.live, { principal: ANN, onFrame: (frame) => told.push(frame), onClose: () => {} }));
  const read = async (isDone: () => boolean) => {
    for (let turn = 0; turn < 5_000 && !isDone(); turn += 1) { for (const { pipe } of clients) pipe.read(); await new Promise(setImmediate); }
    expect(isDone()).toBe(true);
  };
  const count = (op: string) => told.filter((frame) => frame.op === op).length;
  clients.forEach(({ say }, n) => say({ op: 'subscribe', ch: n % 2 === 0 ? CODEBASE : `project:${PROJECT}` }));
  await read(() => count('subscribed') === 1_000);
  expect(bench.rightsLooks).toBeLessThan(10);
  for (const { pipe } of clients) pipe.read();
  await new Promise(setImmediate);
  bench.rightsLooks = 0;
  for (let facts = 0; facts < 20; facts += 1) await bench.append(KEY_A);
  bench.project();
  await read(() => count('pub') === 20_000);
  expect(bench.rightsLooks).toBe(0);
  await bench.setReads(KEY_A, false);
  await bench.append(KEY_A);
  bench.project();
  await read(() => count('error') === 500);
  await notifier.untilTold();
  expect([bench.rightsLooks, count('pub')]).toEqual([1, 20_000]);
  for (const { cut } of clients) cut();
  await notifier.stop();
}, 60_000);

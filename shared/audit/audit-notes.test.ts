import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import type { CountedEntry } from './audit-entries.ts';
import { createAuditNotes, type Note } from './audit-notes.ts';

const note = (more: Partial<Note> = {}): Note => ({ actor: { kind: 'nobody', id: null }, address: '203.0.113.9', act: 'request-refused', target: null, route: 'GET /v1/codebases', code: 'not-authenticated', ...more });

function openNotes({ isAway = false } = {}) {
  const world = { at: Date.parse('2026-11-29T12:00:00Z'), isAway, written: [] as CountedEntry[], wake: () => {} };
  const metrics = createMetrics();
  const notes = createAuditNotes({
    entries: { count: async (entries) => { if (world.isAway) throw new Error('away'); world.written.push(...entries); } },
    logger: createLogger('silent'), metrics, now: () => new Date(world.at),
    sleep: (_ms, signal) => new Promise((resolve) => { world.wake = resolve; signal.addEventListener('abort', () => resolve(), { once: true }); }),
  });
  const lost = async () => (await metrics.render()).text.match(/^tekai_audit_notes_total\{outcome="lost"\} (\d+)/m)?.[1];
  return { world, notes, lost };
}

test('a flood of the same is one entry a minute, with how often and until when', async () => {
  const { world, notes } = openNotes();
  for (let index = 0; index < 10_000; index += 1) notes.note(note());
  world.at += 59_000;
  notes.note(note());
  world.at += 1_000;
  notes.note(note());
  await notes.stop();
  expect(world.written.map(({ at, lastAt, count }) => [at.toISOString().slice(14, 19), lastAt.toISOString().slice(14, 19), count])).toEqual([['00:00', '00:59', 10_001], ['01:00', '01:00', 1]]);
});

test('who asks for ever other things leaves twenty-one entries a minute, and none of what was asked is uncounted', async () => {
  const { world, notes } = openNotes();
  for (let index = 0; index < 5_000; index += 1) notes.note(note({ target: `${index}` }));
  notes.note(note({ address: '203.0.113.8' }));
  await notes.stop();
  expect(world.written.filter(({ address }) => address === '203.0.113.9')).toHaveLength(21);
  expect(world.written.reduce((sum, { count }) => sum + count, 0)).toBe(5_001);
  expect(world.written.at(-1)).toMatchObject({ address: '203.0.113.8', route: 'GET /v1/codebases', count: 1 });
});

test('however many callers come within a minute, two hundred are told apart and all are counted', async () => {
  const { world, notes } = openNotes();
  for (let index = 0; index < 5_000; index += 1) notes.note(note({ address: `198.51.100.${index}` }));
  await notes.stop();
  expect(world.written).toHaveLength(201);
  expect(world.written.at(-1)).toMatchObject({ actor: { kind: 'nobody', id: null }, address: null, code: 'many-callers', count: 4_800 });
});

test('while the database is away notes wait, up to a bound; what was lost is counted, and said when it is back', async () => {
  const { world, notes, lost } = openNotes({ isAway: true });
  for (let minute = 0; minute < 120; minute += 1) {
    for (let index = 0; index < 250; index += 1) notes.note(note({ address: `198.51.100.${index}` }));
    world.at += 60_000;
  }
  await notes.stop().catch(() => undefined);
  const dropped = Number(await lost());
  expect(dropped).toBeGreaterThan(0);
  world.isAway = false;
  await notes.stop();
  expect(world.written.find(({ act }) => act === 'entries-lost')?.count).toBe(dropped);
  expect(world.written.reduce((sum, { count }) => sum + count, 0)).toBe(120 * 250);
});

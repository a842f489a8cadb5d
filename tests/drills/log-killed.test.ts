import { join } from 'node:path';
import type pg from 'pg';
import { BEGINNING, type StreamName } from '#schemas/brand.ts';
import { follow, hasFacts, idsOf, newFacts, newFamily } from '#shared/log/event-log-facts.contract.ts';
import type { Appendable, AppendOutcome, EventLog, ExpectedRevision, Recorded } from '#shared/log/event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase, type FreshDatabase } from '../harness/postgres.ts';
import { spawnProgram } from '../harness/spawn-program.ts';

const ROUNDS = 10;
const WRITERS = join(process.cwd(), 'tests/drills/log-writers.ts');

interface Try { readonly stream: StreamName; readonly expected: ExpectedRevision; readonly facts: readonly Appendable[] }
type Line = { tried: Try; acknowledged?: never } | { acknowledged: string; tried?: never };

let database: FreshDatabase;
let pool: pg.Pool;
let log: EventLog;

beforeEach(async () => {
  database = await freshDatabase();
  await migrate({ url: database.url, owners: [eventLogMigrations] });
  pool = createPool(database.url, { connectionsMax: 8, applicationName: 'log-drill' });
  log = createPostgresEventLog({ pool });
});

afterEach(async () => {
  await pool.end();
  await database.drop();
});

test('writers killed at any moment: what was acknowledged is there, what was not is written once by trying again', async () => {
  const written: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { tries, acknowledged } = await writersUntilKilled(`drill-${round}-`, 20 + Math.floor(Math.random() * 400));
    const standing = new Set(idsOf((await Promise.all(streamsOf(tries).map(readWhole))).flat()));
    expect(acknowledged.filter((id) => !standing.has(id))).toEqual([]);

    for (const { stream, expected, facts } of tries) {
      if (acknowledged.includes(facts[0]?.id ?? '')) continue;
      expect(await log.append(stream, expected, facts)).toMatchObject({ kind: 'appended' });
    }
    for (const stream of streamsOf(tries)) {
      expect(idsOf(await readWhole(stream))).toEqual(tries.filter((one) => one.stream === stream).flatMap(({ facts }) => idsOf(facts)));
    }
    written.push(...tries.flatMap(({ facts }) => idsOf(facts)));
  }

  const { facts } = await follow(log, { after: BEGINNING }, hasFacts(written.length));
  expect(idsOf(facts).sort()).toEqual(written.sort());
});

test('connections ended at any moment: appends that try again are written once, a subscription misses and doubles nothing', async () => {
  const family = newFamily();
  const killer = createPool(database.url, { connectionsMax: 1, applicationName: 'log-drill-killer' });
  const following = follow(log, { after: BEGINNING }, hasFacts(8 * 150));
  let acknowledged = 0;
  let unknown = 0;
  let ended = 0;

  await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
    for (let revision = -1; revision < 149; revision += 1) {
      const fact = newFacts(1);
      const outcome = await untilAnswered(() => log.append(family.of(writer), revision < 0 ? 'noStream' : revision, fact), () => { unknown += 1; });
      expect(outcome).toMatchObject({ kind: 'appended', revision: revision + 1 });
      acknowledged += 1;
      if (acknowledged % 60 === 0) {
        const { rowCount } = await killer.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'log-drill' and datname = current_database()`);
        ended += rowCount ?? 0;
      }
    }
  }));

  expect(ended).toBeGreaterThan(0);
  // Else nothing was ended in the middle, and nothing was shown.
  expect(unknown).toBeGreaterThan(0);
  const { facts } = await following;
  expectOnce(facts);
  await killer.end();
});

test('a server that is silent: the append is given up as unknown, is written all the same, and trying again finds it', async () => {
  const stream = newFamily().of('a');
  const facts = newFacts(2);
  const holder = await pool.connect();
  await holder.query('begin');
  await holder.query('select from log_head for update');
  await expect(log.append(stream, 'noStream', facts)).rejects.toMatchObject({ name: 'Unavailable', dependency: 'event log' });
  await holder.query('rollback');
  holder.release();

  expect(await log.append(stream, 'noStream', facts)).toMatchObject({ kind: 'appended', revision: 1 });
  expect(idsOf(await readWhole(stream))).toEqual(idsOf(facts));
  // It is given up after 10 s; the pool's own time-out would come after 65.
}, 30_000);

/** Runs the writers until they have said so many things, kills them, and tells what was tried and what acknowledged. */
async function writersUntilKilled(prefix: string, linesMin: number): Promise<{ tries: Try[]; acknowledged: string[] }> {
  const program = spawnProgram(WRITERS, { arguments: [database.url, prefix] });
  const tries: Try[] = [];
  const acknowledged: string[] = [];
  const isRunning = async () => {
    const line = await program.line<Line>();
    if (line.tried) tries.push(line.tried);
    else acknowledged.push(line.acknowledged);
  };
  for (let lines = 0; lines < linesMin; lines += 1) await isRunning();

  const killed = program.kill();
  // What they had printed before the end counts as well.
  for (;;) if (await isRunning().then(() => false, () => true)) break;
  await killed;
  expect(program.child.signalCode).toBe('SIGKILL');
  return { tries, acknowledged };
}

async function untilAnswered(append: () => Promise<AppendOutcome>, onUnknown: () => void): Promise<AppendOutcome> {
  for (;;) {
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      onUnknown();
    }
  }
}

function expectOnce(facts: readonly Recorded[]): void {
  expect(new Set(idsOf(facts)).size).toBe(facts.length);
  for (const stream of new Set(facts.map((fact) => fact.stream))) {
    const revisions = facts.filter((fact) => fact.stream === stream).map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.map((_, index) => index));
  }
}

const streamsOf = (tries: readonly Try[]) => [...new Set(tries.map(({ stream }) => stream))];
const readWhole = (stream: StreamName) => log.readStream(stream, { limit: 100_000 });

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Pool } from 'pg';
import type { StreamName } from '#schemas/brand.ts';
import type { Appendable, EventLog } from '#shared/log/event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { median } from './figures.ts';
import type { Measure } from './main.ts';

const SLOT_MS = 1_000;
/** Ours and the reference take turns, so that whatever else the machine does hits both. */
const ROUNDS = 5;
const PADDING = 'x'.repeat(300);

/** Durable appends a second against single-row inserts of the same bytes, over the same pool and server. */
export async function benchLogAppend(): Promise<Measure[]> {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'tekai-bench-'));
  const server = await startEmbeddedPostgres({ stateDir });
  await migrate({ url: server.url, owners: [eventLogMigrations] });
  const pool = createPool(server.url, { connectionsMax: 64, applicationName: 'bench' });
  await pool.query('create table bench_rows (id bigserial primary key, fact text not null)');
  const log = createPostgresEventLog({ pool });
  const measures: Measure[] = [];
  for (const writers of [1, 16, 64]) {
    const ours: number[] = [];
    const reference: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      reference.push(await perSecond(writers, () => insertRow(pool)));
      ours.push(await perSecond(writers, () => appendFact(log)));
    }
    const [a, b] = [median(ours), median(reference)];
    measures.push({ name: `log append, ${writers} writers`, ours: `${Math.round(a)}/s`, reference: `single-row insert ${Math.round(b)}/s`, ratio: a / b, goal: writers === 64 ? '≥ 1.5' : '-' });
  }
  await pool.end();
  await server.stop();
  await rm(stateDir, { recursive: true, force: true });
  return measures;
}

async function perSecond(writers: number, step: () => Promise<unknown>): Promise<number> {
  let done = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: writers }, async () => {
    for (; performance.now() - began < SLOT_MS; done += 1) await step();
  }));
  return done / ((performance.now() - began) / 1_000);
}

function fact(): Appendable {
  return {
    id: randomUUID(), type: 'sync.requested', schemaVersion: 1, key: randomUUID(), time: new Date().toISOString(), actor: { kind: 'token', id: 'bench' },
    correlationId: 'bench', causationId: null, data: { padding: PADDING },
  } as unknown as Appendable;
}

const appendFact = (log: EventLog) => log.append(`command-${randomUUID()}` as StreamName, 'noStream', [fact()]);
const insertRow = (pool: Pool) => pool.query({ name: 'bench-insert', text: 'insert into bench_rows (fact) values ($1)', values: [JSON.stringify(fact())] });

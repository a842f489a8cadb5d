import type { Pool, PoolClient } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Batch, EventLog } from '#shared/log/event-log.ts';
import { asUnavailable } from '#shared/postgres/query.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { foldOrMark } from './fold-page.ts';

export interface ProjectorDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly pool: Pool;
  readonly projected: PositionSignal;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const SCHEMA = 'read_model';
const RETRY_MS = 500;

/** Folds the log into the tables that query-api reads. Empty its tables and it builds them again, equal. */
export async function start(deps: ProjectorDeps): Promise<RunningService> {
  const stopping = new AbortController();
  const running = project(deps, stopping.signal);
  return { name: 'projector', stop: async () => { stopping.abort(); await running; } };
}

async function project(deps: ProjectorDeps, signal: AbortSignal): Promise<void> {
  const after = await untilDone(deps, signal, () => loadPosition(deps.pool));
  if (after === undefined) return;
  for await (const batch of deps.log.subscribe({ after, prefixes: [], signal })) {
    if (batch.facts.length === 0) continue;
    await untilDone(deps, signal, () => foldBatch(deps.pool, batch));
    deps.projected.tell(batch.position);
  }
}

/** Whoever emptied the tables emptied this one too: without its row, no fold would be remembered. */
async function loadPosition(pool: Pool): Promise<Position> {
  await pool.query(`insert into ${SCHEMA}.progress (position) values ($1) on conflict do nothing`, [BEGINNING]);
  const { rows } = await pool.query<{ position: Position }>(`select position from ${SCHEMA}.progress`);
  return rows[0]?.position ?? BEGINNING;
}

async function foldBatch(pool: Pool, batch: Batch): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const folded = await foldedUpTo(client);
    const facts = batch.facts.filter((fact) => fact.position > folded);
    if (facts.length > 0) await foldOrMark(client, SCHEMA, { facts, position: batch.position });
    await client.query('commit');
    client.release();
  } catch (error) {
    // The connection is in an unknown state: it is not given back to the pool.
    client.release(true);
    throw error;
  }
}

/** Holds the row until the commit: a second projector on this model waits here, then finds the page folded. */
async function foldedUpTo(client: PoolClient): Promise<Position> {
  const { rows } = await client.query<{ position: Position }>(`select position from ${SCHEMA}.progress for update`);
  return rows[0]?.position ?? BEGINNING;
}

/** A projector skips nothing: it tries until the database takes the page. Undefined when told to stop. */
async function untilDone<T>({ logger, sleep }: ProjectorDeps, signal: AbortSignal, step: () => Promise<T>): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await step();
    } catch (error) {
      const away = asUnavailable(error);
      if (away instanceof Unavailable) logger.warn({ error }, 'the projector waits for the database');
      else logger.error({ error }, 'the projector cannot write a page; it tries again and folds nothing behind it');
      await sleep(RETRY_MS, signal);
    }
  }
  return undefined;
}

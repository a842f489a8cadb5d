import type { Pool, PoolClient } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Batch, EventLog } from '#shared/log/event-log.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { asUnavailable } from '#shared/postgres/query.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { foldOrMark } from './fold-page.ts';

export interface ProjectorDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly pool: Pool;
  readonly projected: PositionSignal;
  readonly tracing: Pick<Tracing, 'inSpans'>;
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
    await deps.tracing.inSpans('project', batch.facts, () => untilDone(deps, signal, async () => {
      await foldBatch(deps.pool, batch);
      tookStep(deps.logger, 'projected', { position: batch.position });
    }));
    deps.projected.tell(batch.position);
  }
}

/** Whoever emptied the tables emptied this one too: without its row, no fold would be remembered. */
async function loadPosition(pool: Pool): Promise<Position> {
  await pool.query(`insert into ${SCHEMA}.progress (position) values ($1) on conflict do nothing`, [BEGINNING]);
  const { rows } = await pool.query<{ position: Position }>(`select position from ${SCHEMA}.progress`);
  return rows[0]?.position ?? BEGINNING;
}

function foldBatch(pool: Pool, batch: Batch): Promise<void> {
  return inTransaction(pool, async (client) => {
    const folded = await foldedUpTo(client);
    const facts = batch.facts.filter((fact) => fact.position > folded);
    if (facts.length > 0) await foldOrMark(client, SCHEMA, { facts, position: batch.position });
  });
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

import type { Pool, PoolClient } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Batch, EventLog, Recorded } from '#shared/log/event-log.ts';
import { foldOrMark } from '../fold-page.ts';

/** What follows of the log, made beside the live model and thrown away, or made live. */
export interface RebuiltModel {
  readonly schema: string;
  /** Everything up to here is folded. */
  position(): Position;
  /** Facts folded so far. */
  facts(): number;
  /** Goes on to this position exactly; never further. @throws when `signal` aborts */
  foldTo(position: Position, signal: AbortSignal): Promise<void>;
  /** Until then it does not survive a crash of the server: it is written without a log of its own, in half the time. */
  makeDurable(): Promise<void>;
  drop(): Promise<void>;
}

export interface RebuildDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly pool: Pool;
  /** Told after each page. */
  onFolded?(facts: number, position: Position): void;
}

/** The live model's schema. */
export const LIVE = 'read_model';

/**
 * An empty model with the live one's tables, in a schema of its own. The name says whose it is: what a killed replay left
 * can be dropped by anybody.
 */
export async function createRebuild({ log, pool, onFolded }: RebuildDeps, schema: string): Promise<RebuiltModel> {
  const { rows } = await pool.query<{ name: string }>('select tablename as name from pg_tables where schemaname = $1 order by tablename', [LIVE]);
  if (rows.length === 0) throw new Error(`There is no schema ${LIVE} in this database: no engine has been started on it yet.`);
  await pool.query(`drop schema if exists ${schema} cascade`);
  await pool.query(`create schema ${schema}`);
  for (const { name } of rows) await pool.query(`create unlogged table ${schema}.${name} (like ${LIVE}.${name} including all)`);
  await pool.query(`insert into ${schema}.progress (position) values ($1)`, [BEGINNING]);

  let position: Position = BEGINNING;
  let facts = 0;
  return {
    schema,
    position: () => position,
    facts: () => facts,

    async foldTo(end, signal) {
      if (position >= end) return;
      let folding = Promise.resolve();
      for await (const page of bigPages(log.subscribe({ after: position, prefixes: [], signal }), end)) {
        await folding;
        // The next page is read and parsed by the log while Postgres writes this one.
        folding = inTransaction(pool, (client) => foldOrMark(client, schema, page));
        folding.catch(() => undefined);
        position = page.position;
        facts += page.facts.length;
        onFolded?.(facts, position);
        if (position >= end) break;
      }
      await folding;
      signal.throwIfAborted();
    },

    async makeDurable() {
      for (const { name } of rows) await pool.query(`alter table ${schema}.${name} set logged`);
    },

    drop: async () => void (await pool.query(`drop schema if exists ${schema} cascade`)),
  };
}

/** One transaction: all of `work` or nothing. */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

/** Folded at once: 20,000 facts are some 20 MB, and a statement for each table instead of one for every thousand facts. */
const PAGE_FACTS = 20_000;

async function* bigPages(batches: AsyncIterable<Batch>, end: Position): AsyncGenerator<{ facts: Recorded[]; position: Position }, void, void> {
  let facts: Recorded[] = [];
  for await (const batch of batches) {
    for (const fact of batch.facts) if (fact.position <= end) facts.push(fact);
    const position = batch.position < end ? batch.position : end;
    if (facts.length < PAGE_FACTS && position < end) continue;
    yield { facts, position };
    if (position >= end) return;
    facts = [];
  }
}

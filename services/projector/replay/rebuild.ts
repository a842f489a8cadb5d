import type { Pool } from 'pg';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import type { Batch, EventLog, Recorded } from '#shared/log/event-log.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { createFreshFold, type FactPage } from './fold-fresh.ts';

/** What follows of the log, made beside the live model and thrown away, or made live. */
export interface RebuiltModel {
  readonly schema: string;
  /** Everything up to here is folded. */
  position(): Position;
  /** Facts folded so far. */
  facts(): number;
  /** Goes on to this position exactly; never further. @throws when `signal` aborts */
  foldTo(position: Position, signal: AbortSignal): Promise<void>;
  /** Makes what questions need, and comparing does not: a table is filled in half the time without it. */
  buildIndexes(): Promise<void>;
  /** Until then it does not survive a crash of the server: it is written without a log of its own, in half the time. */
  makeDurable(): Promise<void>;
  drop(): Promise<void>;
}

export interface RebuildDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly pool: Pool;
  readonly bounds?: RebuildBounds;
  /** Told after each page. */
  onFolded?(facts: number, position: Position): void;
}

export interface RebuildBounds {
  /** Folded at once. 5,000 are some 5 MB: smaller pages take more statements, bigger ones keep Postgres waiting while they are folded. */
  readonly pageFacts: number;
  /** Rows kept in memory between pages, of each view: a codebase's is touched by each of its pushes. 30,000 of syncs are some 40 MB. */
  readonly rowsKept: number;
}
/** Each is sorted by one core and takes maintenance_work_mem: the engine's machine has two, and some 64 MB for each. */
const INDEXES_AT_ONCE = 2;
const BOUNDS: RebuildBounds = { pageFacts: 5_000, rowsKept: 30_000 };

/** The live model's schema. */
export const LIVE = 'read_model';

/**
 * An empty model with the live one's tables, in a schema of its own. The name says whose it is: what a killed replay left
 * can be dropped by anybody.
 */
export async function createRebuild({ log, pool, onFolded, bounds = BOUNDS }: RebuildDeps, schema: string): Promise<RebuiltModel> {
  const tables = await createTables(pool, schema);
  const fresh = createFreshFold(pool, { schema, rowsKept: bounds.rowsKept });

  let position: Position = BEGINNING;
  let facts = 0;
  return {
    schema,
    position: () => position,
    facts: () => facts,

    async foldTo(end, signal) {
      if (position >= end) return;
      const reading = new AbortController();
      const pages = pagesTo(end, { batches: log.subscribe({ after: position, prefixes: [], signal: AbortSignal.any([signal, reading.signal]) }), factsMax: bounds.pageFacts });
      try {
        for await (const page of readAhead(pages)) {
          await fresh.fold(page);
          position = page.position;
          facts += page.facts.length;
          onFolded?.(facts, position);
        }
        await fresh.settle();
      } finally {
        reading.abort();
      }
      signal.throwIfAborted();
    },

    buildIndexes: () => buildIndexes(pool, schema),

    async makeDurable() {
      for (const name of tables) await pool.query(`alter table ${schema}.${name} set logged`);
    },

    drop: async () => void (await pool.query(`drop schema if exists ${schema} cascade`)),
  };
}

/** The live model's tables, empty, with their keys; by the same names, so that a migration finds what it looks for. */
async function createTables(pool: Pool, schema: string): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>('select tablename as name from pg_tables where schemaname = $1 order by tablename', [LIVE]);
  if (rows.length === 0) throw new Error(`There is no schema ${LIVE} in this database: no engine has been started on it yet.`);
  await pool.query(`drop schema if exists ${schema} cascade`);
  await pool.query(`create schema ${schema}`);
  for (const { name } of rows) await pool.query(`create unlogged table ${schema}.${name} (like ${LIVE}.${name} including all excluding indexes)`);
  const { rows: keys } = await pool.query<{ table: string; name: string; definition: string }>(
    `select c.relname as table, k.conname as name, pg_get_constraintdef(k.oid) as definition from pg_constraint k join pg_class c on c.oid = k.conrelid
     where k.connamespace = $1::regnamespace and k.contype in ('p', 'u') order by k.conname`, [LIVE]);
  for (const { table, name, definition } of keys) await pool.query(`alter table ${schema}.${table} add constraint ${name} ${definition}`);
  await pool.query(`insert into ${schema}.progress (position) values ($1)`, [BEGINNING]);
  return rows.map(({ name }) => name);
}

/** Those that do not stand behind a key: these are there from the beginning. */
async function buildIndexes(pool: Pool, schema: string): Promise<void> {
  const { rows } = await pool.query<{ definition: string }>(
    `select indexdef as definition from pg_indexes i where schemaname = $1
     and not exists (select from pg_constraint k where k.connamespace = $1::regnamespace and k.conname = i.indexname) order by indexname`, [LIVE]);
  await mapBounded(rows, INDEXES_AT_ONCE, ({ definition }) => pool.query(definition.replace(` ON ${LIVE}.`, ` ON ${schema}.`)));
}

async function* pagesTo(end: Position, { batches, factsMax }: { batches: AsyncIterable<Batch>; factsMax: number }): AsyncGenerator<FactPage, void, void> {
  let facts: Recorded[] = [];
  for await (const batch of batches) {
    for (const fact of batch.facts) {
      if (fact.position > end) break;
      facts.push(fact);
      if (facts.length < factsMax) continue;
      yield { facts, position: fact.position };
      facts = [];
    }
    if (batch.position < end) continue;
    yield { facts, position: end };
    return;
  }
}

/** The next one is on its way while this one is worked on. Whoever stops early stops the reading too. */
async function* readAhead<T>(pages: AsyncGenerator<T, void, void>): AsyncGenerator<T, void, void> {
  let coming = pages.next();
  for (let page = await coming; page.done !== true; page = await coming) {
    coming = pages.next();
    // Awaited in its turn; until then a failure must not count as unhandled.
    coming.catch(() => undefined);
    yield page.value;
  }
}

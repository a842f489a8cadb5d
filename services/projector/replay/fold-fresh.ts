import type { Pool } from 'pg';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { addRows, Unstorable } from '#shared/postgres/copy-rows.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { foldFacts, indexRow, isAppended, readPage, touchedRows, VIEWS, type NamedKey, type Rows } from '../fold-facts.ts';
import { foldOrMark, isRefusedData, load, marksTable, write } from '../fold-page.ts';
import type { Row, View } from '../view.ts';

export interface FactPage { readonly facts: readonly Recorded[]; readonly position: Position }

/** Folds into tables that nobody else writes to. */
export interface FreshFold {
  /** Folds a page, while the one before it is being written. */
  fold(page: FactPage): Promise<void>;
  /** Everything given is in the tables, once resolved. */
  settle(): Promise<void>;
}

interface Written { readonly view: View; readonly added: readonly Row[]; readonly replaced: readonly Row[]; readonly changed: Rows }
interface FoldedPage { readonly page: FactPage; readonly views: readonly Written[]; readonly marks: readonly Row[] }

/**
 * The fold of the live projector, written in another way: rows are kept in memory over pages, what is new goes in by COPY, and
 * the next page is folded while Postgres writes this one. A page that Postgres refuses goes the live projector's way, fact by
 * fact, and marks what it marks: what is refused here may be more, never less.
 */
export function createFreshFold(pool: Pool, { schema, rowsKept }: { readonly schema: string; readonly rowsKept: number }): FreshFold {
  const caches = new Map(VIEWS.map((view) => [view, new RowCache(view, rowsKept)]));
  const cacheOf = (view: View) => caches.get(view)!;
  let writing: { readonly folded: FoldedPage; readonly isTaken: Promise<boolean> } | undefined;

  async function foldInMemory(page: FactPage): Promise<FoldedPage> {
    const { facts, unfolded } = readPage(page.facts);
    const touched = touchedRows(facts);
    const stored = await load(pool, schema, Array.from(touched, ([view, keys]) => ({ view, keys: cacheOf(view).missing(keys) })));
    const folded = foldFacts(facts, new Map(Array.from(touched.keys(), (view) => [view, cacheOf(view).rowsWith(stored.get(view))])));
    const views = Array.from(folded.changed, ([view, changed]) => ({ view, changed, ...cacheOf(view).keep(changed) }));
    return { page, views, marks: [...unfolded, ...folded.unfolded] };
  }

  async function writeFolded({ page, views, marks }: FoldedPage): Promise<boolean> {
    try {
      await inTransaction(pool, async (client) => {
        for (const { view, added } of views) await addRows(client, `${schema}.${view.table}`, added);
        await addRows(client, `${schema}.fact_index`, page.facts.map(indexRow));
        const replaced = views.map((one) => ({ table: one.view.table, key: one.view.key, rows: one.replaced }));
        await write(client, schema, { tables: [...replaced, marksTable(marks)], position: page.position });
      });
      return true;
    } catch (error) {
      if (error instanceof Unstorable || isRefusedData(error)) return false;
      throw error;
    }
  }

  /** False when the page was refused, and so what was folded behind it is worth nothing. */
  async function settled(): Promise<boolean> {
    const before = writing;
    writing = undefined;
    if (before === undefined || await before.isTaken) return true;
    for (const cache of caches.values()) cache.clear();
    await inTransaction(pool, (client) => foldOrMark(client, schema, before.folded.page));
    return false;
  }

  return {
    async fold(page) {
      let folded = await foldInMemory(page);
      if (!(await settled())) folded = await foldInMemory(page);
      const isTaken = writeFolded(folded);
      // Awaited by the next page; until then a failure must not count as unhandled.
      isTaken.catch(() => undefined);
      writing = { folded, isTaken };
      for (const { view, changed } of folded.views) cacheOf(view).forget(changed);
    },
    settle: async () => void (await settled()),
  };
}

/** The rows of a view that were touched last. What is not in the tables yet is always here. */
class RowCache {
  readonly #isAppended: boolean;
  readonly #rowsKept: number;
  readonly #rows = new Map<string, Row>();
  /** Rows of the tables, or on their way there. */
  readonly #stored = new Set<string>();
  /** While no row was ever let go, what is not here is nowhere. */
  #isWhole = true;

  constructor(view: View, rowsKept: number) {
    this.#isAppended = isAppended(view);
    this.#rowsKept = rowsKept;
  }

  /** What must be looked for in the tables. What is on its way there is here, so that nobody need wait for it. */
  missing(keys: readonly NamedKey[]): NamedKey[] {
    if (this.#isAppended || this.#isWhole) return [];
    return keys.filter(({ name }) => !this.#rows.has(name));
  }

  /** With what the tables had of it. */
  rowsWith(stored: ReadonlyMap<string, Row> = new Map()): Map<string, Row> {
    for (const [name, row] of stored) {
      this.#rows.set(name, row);
      this.#stored.add(name);
    }
    return this.#rows;
  }

  /** Which of the changed rows are new to the tables. */
  keep(changed: ReadonlyMap<string, Row>): { added: Row[]; replaced: Row[] } {
    const added: Row[] = [];
    const replaced: Row[] = [];
    for (const [name, row] of changed) {
      (this.#stored.has(name) ? replaced : added).push(row);
      if (!this.#isAppended) this.#stored.add(name);
    }
    return { added, replaced };
  }

  /** Lets go what was touched longest ago, but for what is being written. */
  forget(changed: ReadonlyMap<string, Row>): void {
    if (this.#isAppended) { this.#rows.clear(); return; }
    for (const [name, row] of changed) {
      this.#rows.delete(name);
      this.#rows.set(name, row);
    }
    for (const name of this.#rows.keys()) {
      if (this.#rows.size <= Math.max(this.#rowsKept, changed.size)) return;
      this.#rows.delete(name);
      this.#stored.delete(name);
      this.#isWhole = false;
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#stored.clear();
    this.#isWhole = false;
  }
}

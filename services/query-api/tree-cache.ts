import type { ObjectId } from '#schemas/brand.ts';
import { compareEntries, type TreeEntry } from '#shared/objects/git-tree.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { readTree } from '#shared/objects/read-tree.ts';

/** Entries kept, of all trees: some 30 MB. A codebase of 100,000 files has some 110,000 of them. */
const ENTRIES_MAX = 150_000;

/** Parsed trees by id, those asked for last. A tree's id is its content, so what is kept is never out of date. */
export interface Trees {
  /** In git's order. @throws as readTree does. */
  entries(id: ObjectId): Promise<readonly TreeEntry[]>;
}

export function createTreeCache(reader: Pick<ObjectReader, 'stream'>, { entriesMax = ENTRIES_MAX }: { entriesMax?: number } = {}): Trees {
  const kept = new Map<ObjectId, readonly TreeEntry[]>();
  const loading = new Map<ObjectId, Promise<readonly TreeEntry[]>>();
  let held = 0;

  function keep(id: ObjectId, entries: readonly TreeEntry[]): void {
    kept.set(id, entries);
    // An empty tree takes a place too.
    held += entries.length + 1;
    for (const [oldest, of] of kept) {
      if (held <= entriesMax) return;
      kept.delete(oldest);
      held -= of.length + 1;
    }
  }

  return {
    entries(id) {
      const known = kept.get(id);
      if (known !== undefined) {
        kept.delete(id);
        kept.set(id, known);
        return Promise.resolve(known);
      }
      const coming = loading.get(id) ?? readTree(reader, id).then((entries) => { keep(id, entries); return entries; }).finally(() => { loading.delete(id); });
      loading.set(id, coming);
      return coming;
    },
  };
}

/** The entry of that name, whatever its sort. Trees are sorted, but a folder stands elsewhere than a file of its name: two looks. */
export function entryNamed(entries: readonly TreeEntry[], name: Buffer): TreeEntry | undefined {
  return search(entries, { name, mode: '100644' }) ?? search(entries, { name, mode: '040000' });
}

function search(entries: readonly TreeEntry[], wanted: Pick<TreeEntry, 'name' | 'mode'>): TreeEntry | undefined {
  for (let low = 0, high = entries.length - 1; low <= high;) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle] as TreeEntry;
    const order = compareEntries(entry, wanted);
    // A NUL behind the name, which none in git holds, stands where the name's end does.
    if (order === 0) return entry.name.equals(wanted.name) ? entry : undefined;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

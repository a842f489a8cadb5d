import type { ObjectId } from '#schemas/brand.ts';
import { askedTogether } from '#shared/runtime/asked-together.ts';
import type { ObjectIndexReader } from './object-index.ts';

/** What the adapters ask for at once. */
const IDS_MAX = 5_000;

/**
 * The same index, where looks for single objects that come at the same time are one question, whether for the place or for the
 * finding: thirty readers of files ask once, not sixty times. Looks for many go as they are.
 */
export function withJointLookups(index: ObjectIndexReader): ObjectIndexReader {
  const entryOf = askedTogether((ids: readonly ObjectId[]) => index.entries(ids), { keysMax: IDS_MAX });
  type Entry = NonNullable<Awaited<ReturnType<typeof entryOf>>>;

  async function oneBy<Value>(ids: readonly ObjectId[], many: (ids: readonly ObjectId[]) => Promise<Map<ObjectId, Value>>, pick: (entry: Entry) => Value): Promise<Map<ObjectId, Value>> {
    const [id, ...more] = ids;
    if (id === undefined || more.length > 0) return many(ids);
    const entry = await entryOf(id);
    return new Map(entry === undefined ? [] : [[id, pick(entry)]]);
  }

  return {
    known: (ids) => index.known(ids),
    places: (ids) => oneBy(ids, index.places, ({ place }) => place),
    findings: (ids) => oneBy(ids, index.findings, ({ place, finding }) => ({ bytes: place.bytes, finding })),
    entries: (ids) => oneBy(ids, index.entries, (entry) => entry),
  };
}

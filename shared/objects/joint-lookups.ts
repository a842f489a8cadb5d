import type { ObjectId } from '#schemas/brand.ts';
import { askedTogether } from '#shared/runtime/asked-together.ts';
import type { ObjectIndexReader } from './object-index.ts';

/** What the adapters ask for at once. */
const IDS_MAX = 5_000;

/**
 * The same index, where looks for single objects that come at the same time are one question: thirty readers of files ask once, not
 * thirty times. Looks for many go as they are.
 */
export function withJointLookups(index: ObjectIndexReader): ObjectIndexReader {
  const place = askedTogether((ids: readonly ObjectId[]) => index.places(ids), { keysMax: IDS_MAX });
  const finding = askedTogether((ids: readonly ObjectId[]) => index.findings(ids), { keysMax: IDS_MAX });
  return {
    known: (ids) => index.known(ids),
    places: (ids) => oneBy(ids, place, index.places),
    findings: (ids) => oneBy(ids, finding, index.findings),
  };
}

async function oneBy<Value>(ids: readonly ObjectId[], one: (id: ObjectId) => Promise<Value | undefined>, many: (ids: readonly ObjectId[]) => Promise<Map<ObjectId, Value>>): Promise<Map<ObjectId, Value>> {
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) return many(ids);
  const value = await one(id);
  return new Map(value === undefined ? [] : [[id, value]]);
}

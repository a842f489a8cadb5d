import type { ObjectId } from '#schemas/brand.ts';
import type { Finding, ObjectIndex, ObjectPlace } from './object-index.ts';

/** The object index in this process's memory: for tests. */
export function createMemoryObjectIndex(): ObjectIndex {
  const entries = new Map<ObjectId, { place: ObjectPlace; finding: Finding | undefined }>();

  const among = <T>(ids: readonly ObjectId[], pick: (entry: { place: ObjectPlace; finding: Finding | undefined }) => T) =>
    new Map(ids.flatMap((id): [ObjectId, T][] => {
      const entry = entries.get(id);
      return entry ? [[id, pick(entry)]] : [];
    }));

  return {
    known: async (ids) => new Set(ids.filter((id) => entries.has(id))),
    places: async (ids) => among(ids, ({ place }) => place),
    findings: async (ids) => among(ids, ({ place, finding }) => ({ bytes: place.bytes, finding })),
    entries: async (ids) => among(ids, (entry) => entry),
    async record(objects, findings) {
      // All or nothing: the iterable may throw halfway.
      const incoming = [...objects].map((place) => ({ place, finding: findings.get(place.id) }));
      const wrong = incoming.find(({ place, finding }) => finding && finding.kind !== place.kind);
      if (wrong) throw new Error(`the finding for ${wrong.place.kind} ${wrong.place.id} is that of a ${wrong.finding?.kind}`);
      const before = entries.size;
      for (const entry of incoming) if (!entries.has(entry.place.id)) entries.set(entry.place.id, entry);
      return { added: entries.size - before };
    },
  };
}

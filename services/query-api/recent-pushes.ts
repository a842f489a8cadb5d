import type { CodebaseId, ObjectId, Position, RefName } from '#schemas/brand.ts';
import { parseFact } from '#schemas/events/facts.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { FactMark, ReadStore } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';

/** Who waits for a commit asks soon after its push. */
const PUSHES_LOOKED_AT = 30;
const READS_AT_ONCE = 4;
/** A push of more refs than this is a mirror's; nobody waits for one commit of it. */
const REFS_KEPT_MAX = 100;
/** Of a few hundred bytes each. */
const KEPT_MAX = 2_000;

export interface Pushes {
  /** The commits that were pushed over this one since, one after the other, as the latest pushes say. */
  over(codebase: CodebaseId, pushed: { ref: RefName | undefined; commit: ObjectId }): Promise<readonly ObjectId[]>;
}

export function createPushes({ store, log }: { readonly store: Pick<ReadStore, 'newestFacts'>; readonly log: Pick<EventLog, 'readStream'> }): Pushes {
  /** Facts never change. */
  const kept = new Map<Position, readonly RefHint[]>();

  async function hintsOf({ position, stream, revision }: FactMark): Promise<readonly RefHint[]> {
    const known = kept.get(position);
    if (known !== undefined) return known;
    const [recorded] = await log.readStream(stream, { from: revision, limit: 1 });
    const fact = recorded === undefined ? undefined : parseFact(recorded);
    const hints = fact?.type === 'push.received' ? fact.data.refs.slice(0, REFS_KEPT_MAX) : [];
    kept.set(position, hints);
    const oldest = kept.size > KEPT_MAX ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    return hints;
  }

  return {
    async over(codebase, { ref, commit }) {
      const marks = await store.newestFacts({ types: ['push.received'], key: codebase, limit: PUSHES_LOOKED_AT });
      const hints = (await mapBounded([...marks].reverse(), READS_AT_ONCE, hintsOf)).flat();
      const over = new Set<string>([commit]);
      // Oldest first: one pass finds the whole chain.
      for (const hint of hints) {
        if (hint.before !== null && hint.after !== null && over.has(hint.before) && (ref === undefined || hint.ref === ref) && !/^0+$/.test(hint.after)) over.add(hint.after);
      }
      over.delete(commit);
      return [...over] as ObjectId[];
    },
  };
}

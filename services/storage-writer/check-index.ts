import { BEGINNING, type ObjectId, type PackId, type Position, type SyncId } from '#schemas/brand.ts';
import { parseFact, UnreadableFact, type Fact } from '#schemas/events/facts.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { ObjectIndexReader, ObjectPlace } from '#shared/objects/object-index.ts';
import { PackDamaged } from '#shared/objects/pack-format.ts';
import { packBlobName, readFooter } from '#shared/objects/pack-store.ts';

export interface IndexProblem {
  readonly pack: PackId;
  /** Null when the pack itself is not there, or says nothing that can be read. */
  readonly object: ObjectId | null;
  readonly detail: string;
  /** The first that was stored with this pack. */
  readonly sync: SyncId;
}

export interface CheckedIndex { readonly packs: number; readonly objects: number; readonly problems: number }

export interface CheckIndexDeps {
  readonly log: Pick<EventLog, 'subscribe'>;
  readonly index: Pick<ObjectIndexReader, 'places'>;
  readonly blobs: Pick<BlobStore, 'get' | 'size'>;
  onProblem(problem: IndexProblem): void;
}

/** Asked together, as the index takes them. */
const OBJECTS_AT_ONCE = 5_000;

interface NamedPack { readonly pack: PackId; readonly sync: SyncId }
/** An object whose one place is in another pack than the one that was read. */
interface Elsewhere { readonly named: NamedPack; readonly here: ObjectPlace; readonly there: ObjectPlace }

/**
 * Holds the object index against what it is a cache of: every object of every pack of a sync that reached `codebase.stored` up to
 * `end` has a place, and at that place a pack has it. An object in two packs has one place: either is right. Ends of packs are
 * read, not their blocks. What a sync recorded that was never stored is of no matter. @throws Unavailable
 */
export async function checkIndex(deps: CheckIndexDeps, end: Position, signal: AbortSignal): Promise<CheckedIndex> {
  let [packs, objects, problems] = [0, 0, 0];
  const tell = (problem: IndexProblem) => { problems += 1; deps.onProblem(problem); };
  const elsewhere: Elsewhere[] = [];
  for await (const named of packsOf(deps.log, end, signal)) {
    packs += 1;
    const listed = await listedIn(deps, named, tell);
    for (let at = 0; at < listed.length; at += OBJECTS_AT_ONCE) {
      const some = listed.slice(at, at + OBJECTS_AT_ONCE);
      const places = await deps.index.places(some.map(({ id }) => id));
      for (const here of some) {
        const there = places.get(here.id);
        if (there === undefined) tell({ ...named, object: here.id, detail: 'the index does not know it' });
        else if (there.pack !== here.pack) elsewhere.push({ named, here, there });
        else if (!isSamePlace(here, there)) tell({ ...named, object: here.id, detail: `the index has it at ${placeText(there)}, the pack at ${placeText(here)}` });
      }
    }
    objects += listed.length;
    if (elsewhere.length >= OBJECTS_AT_ONCE) await checkElsewhere(deps, elsewhere.splice(0), tell);
  }
  await checkElsewhere(deps, elsewhere, tell);
  return { packs, objects, problems };
}

/** Each pack once, by the first sync that was stored with it, in the order of the log. */
async function* packsOf(log: Pick<EventLog, 'subscribe'>, end: Position, signal: AbortSignal): AsyncGenerator<NamedPack, void, void> {
  if (end === BEGINNING) return;
  /** Syncs that may still be stored: as many as are under way at once, and those that failed. */
  const scanned = new Map<SyncId, Fact<'codebase.scanned'>>();
  const seen = new Set<PackId>();
  for await (const batch of log.subscribe({ after: BEGINNING, prefixes: ['sync-'], signal })) {
    for (const recorded of batch.facts) {
      if (recorded.position > end) break;
      const fact = readable(recorded);
      if (fact?.type === 'codebase.scanned') scanned.set(fact.data.syncId, fact);
      if (fact?.type === 'sync.failed') scanned.delete(fact.data.syncId);
      if (fact?.type !== 'codebase.stored') continue;
      const found = scanned.get(fact.data.syncId);
      scanned.delete(fact.data.syncId);
      for (const { pack } of found?.data.packs ?? []) {
        if (seen.has(pack)) continue;
        seen.add(pack);
        yield { pack, sync: fact.data.syncId };
      }
    }
    if (batch.position >= end || batch.isCaughtUp) return;
  }
  signal.throwIfAborted();
}

/** What cannot be read is told of elsewhere: it is marked in the read models. */
function readable(recorded: Recorded): Fact | undefined {
  if (recorded.type !== 'codebase.scanned' && recorded.type !== 'codebase.stored' && recorded.type !== 'sync.failed') return undefined;
  try {
    return parseFact(recorded);
  } catch (error) {
    if (error instanceof UnreadableFact) return undefined;
    throw error;
  }
}

async function listedIn({ blobs }: CheckIndexDeps, named: NamedPack, tell: (problem: IndexProblem) => void): Promise<readonly ObjectPlace[]> {
  const listed = await footerOf(blobs, named.pack);
  if (typeof listed !== 'string') return listed;
  tell({ ...named, object: null, detail: listed });
  return [];
}

/** Or why there is none. */
async function footerOf(blobs: CheckIndexDeps['blobs'], pack: PackId): Promise<readonly ObjectPlace[] | string> {
  if (await blobs.size(packBlobName(pack)) === undefined) return 'it is not in the blob store';
  try {
    return (await readFooter(blobs, pack)).blocks.flatMap(({ objects }) => objects);
  } catch (error) {
    if (error instanceof PackDamaged) return error.detail;
    throw error;
  }
}

async function checkElsewhere({ blobs }: CheckIndexDeps, elsewhere: readonly Elsewhere[], tell: (problem: IndexProblem) => void): Promise<void> {
  for (const pack of new Set(elsewhere.map(({ there }) => there.pack))) {
    const of = elsewhere.filter(({ there }) => there.pack === pack);
    const listed = await footerOf(blobs, pack);
    const places = typeof listed === 'string' ? new Map<ObjectId, ObjectPlace>() : new Map(listed.map((place) => [place.id, place]));
    for (const { named, here, there } of of) {
      const found = places.get(there.id);
      if (found === undefined || !isSamePlace(found, there)) tell({ ...named, object: here.id, detail: `the index has it in pack ${pack} at ${placeText(there)}, where it is not${typeof listed === 'string' ? ` (${listed})` : ''}` });
    }
  }
}

const isSamePlace = (left: ObjectPlace, right: ObjectPlace) =>
  left.kind === right.kind && left.blockOffset === right.blockOffset && left.blockBytes === right.blockBytes && left.placeInBlock === right.placeInBlock && left.bytes === right.bytes;
const placeText = ({ kind, blockOffset, blockBytes, placeInBlock, bytes }: ObjectPlace) => `block ${blockOffset}+${blockBytes}, place ${placeInBlock}, ${kind} of ${bytes} bytes`;

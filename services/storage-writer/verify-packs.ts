import type { GitObjectFormat, ObjectId, PackId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { parseCommit } from '#shared/objects/git-commit.ts';
import { emptyTree, gitIdHash } from '#shared/objects/git-objects.ts';
import { parseTree, TreeMalformed } from '#shared/objects/git-tree.ts';
import type { ObjectIndexReader, ObjectPlace } from '#shared/objects/object-index.ts';
import { ObjectDamaged, ObjectTooLarge, type ObjectReader } from '#shared/objects/object-reader.ts';
import { PackDamaged } from '#shared/objects/pack-format.ts';
import { readPack } from '#shared/objects/pack-store.ts';

type Reason = Fact<'sync.failed'>['data']['reason'];

export type Verified =
  | { readonly kind: 'good'; readonly places: readonly ObjectPlace[] }
  | { readonly kind: 'wrong'; readonly reason: Reason; readonly detail: string };

export interface VerifyOptions {
  readonly commit: ObjectId | null;
  readonly tree: ObjectId;
  readonly format: GitObjectFormat;
  readonly packs: readonly PackId[];
  readonly blobs: Pick<BlobStore, 'get' | 'size'>;
  readonly index: Pick<ObjectIndexReader, 'places'>;
  readonly reader: Pick<ObjectReader, 'read'>;
  readonly signal: AbortSignal;
  onProgress(progress: { objectsDone: number; bytesDone: number }): void;
}

class Wrong extends Error {
  readonly reason: Reason;
  constructor(reason: Reason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/**
 * Believes nothing: recomputes the git id of every object in the packs from its bytes, and checks closure, that is, that
 * every entry of every new tree is among the new objects or in the index, and that the commit names this root tree.
 * @throws Unavailable
 */
export async function verifyPacks(options: VerifyOptions): Promise<Verified> {
  try {
    return { kind: 'good', places: await verify(options) };
  } catch (error) {
    if (error instanceof Wrong) return { kind: 'wrong', reason: error.reason, detail: error.message };
    if (error instanceof PackDamaged) return { kind: 'wrong', reason: 'pack-damaged', detail: error.message };
    // The commit was stored by an earlier sync.
    if (error instanceof ObjectDamaged || error instanceof ObjectTooLarge) return { kind: 'wrong', reason: 'object-damaged', detail: error.message };
    if (error instanceof TreeMalformed) return { kind: 'wrong', reason: 'tree-malformed', detail: error.message };
    throw error;
  }
}

async function verify(options: VerifyOptions): Promise<ObjectPlace[]> {
  const places = new Map<ObjectId, ObjectPlace>();
  /** What the new trees name, and as what. */
  const wanted = new Map<ObjectId, 'tree' | 'blob'>([[options.tree, 'tree']]);
  let rootOfCommit: ObjectId | undefined;
  const done = { objectsDone: 0, bytesDone: 0 };

  for (const pack of options.packs) {
    for await (const { place, content } of readPack(options.blobs, pack, options.signal)) {
      const bytes = await checkId(place, content, options.format);
      if (place.kind === 'tree') for (const entry of parseTree(bytes(), options.format)) if (entry.mode !== '160000') want(wanted, entry.id, entry.mode === '040000' ? 'tree' : 'blob');
      if (place.kind === 'commit' && place.id === options.commit) rootOfCommit = parseCommit(bytes()).tree;
      places.set(place.id, place);
      done.objectsDone += 1;
      done.bytesDone += place.bytes;
      options.onProgress(done);
    }
  }
  await checkClosure(options, places, wanted);
  await checkCommit(options, places, rootOfCommit);
  return [...places.values()];
}

function want(wanted: Map<ObjectId, 'tree' | 'blob'>, id: ObjectId, kind: 'tree' | 'blob'): void {
  if (wanted.has(id) && wanted.get(id) !== kind) throw new Wrong('object-missing', `${id} is named as a ${kind} by one tree and as a ${wanted.get(id)} by another: it cannot be both`);
  wanted.set(id, kind);
}

/** Returns how to get at the bytes of what is parsed (trees, commits); big blobs are only hashed. */
async function checkId(place: ObjectPlace, content: Buffer | AsyncIterable<Buffer>, format: GitObjectFormat): Promise<() => Buffer> {
  const hash = gitIdHash(place.kind, place.bytes, format);
  const kept: Buffer[] = [];
  if (Buffer.isBuffer(content)) {
    hash.update(content);
    kept.push(content);
  } else {
    for await (const piece of content) {
      hash.update(piece);
      if (place.kind !== 'blob') kept.push(piece);
    }
  }
  const id = hash.id();
  if (id !== place.id) throw new Wrong('object-damaged', `pack ${place.pack}: the bytes of ${place.kind} ${place.id} are those of ${id}`);
  return () => Buffer.concat(kept);
}

async function checkClosure(options: VerifyOptions, places: ReadonlyMap<ObjectId, ObjectPlace>, wanted: ReadonlyMap<ObjectId, 'tree' | 'blob'>): Promise<void> {
  const elsewhere: ObjectId[] = [];
  for (const [id, kind] of wanted) {
    const here = places.get(id);
    if (here === undefined) elsewhere.push(id);
    else if (here.kind !== kind) throw new Wrong('object-missing', `${id} is a ${here.kind} where a tree says ${kind}`);
  }
  const known = await options.index.places(elsewhere);
  for (const id of elsewhere) {
    const there = known.get(id);
    if (there !== undefined && there.kind !== wanted.get(id)) throw new Wrong('object-missing', `${id} is a ${there.kind} where a tree says ${wanted.get(id)}`);
  }
  const missing = elsewhere.find((id) => !known.has(id) && !(id === emptyTree(options.format) && wanted.get(id) === 'tree'));
  if (missing !== undefined) throw new Wrong('object-missing', `${wanted.get(missing)} ${missing} is named by a tree, and is neither in the packs nor in the index`);
}

async function checkCommit({ commit, tree, reader }: VerifyOptions, places: ReadonlyMap<ObjectId, ObjectPlace>, rootOfCommit: ObjectId | undefined): Promise<void> {
  if (commit === null) return;
  if (!places.has(commit)) {
    const known = await reader.read(commit);
    if (known?.kind !== 'commit') throw new Wrong('object-missing', `commit ${commit} is neither in the packs nor, as a commit, in the index`);
    rootOfCommit = parseCommit(known.content).tree;
  }
  if (rootOfCommit !== tree) throw new Wrong('object-damaged', `commit ${commit} names tree ${rootOfCommit ?? 'none'}, the sync says ${tree}`);
}

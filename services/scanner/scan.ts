import type { GitObjectFormat, ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import { emptyTree } from '#shared/objects/git-objects.ts';
import { parseTree, type TreeEntry } from '#shared/objects/git-tree.ts';
import type { BlobFinding, Finding, ObjectIndexReader, TreeTotals } from '#shared/objects/object-index.ts';
import { readPack } from '#shared/objects/pack-store.ts';
import { languageOf } from './language.ts';
import { lookAtBlob } from './look-at-blob.ts';

export interface ScanOptions {
  readonly root: ObjectId;
  readonly format: GitObjectFormat;
  readonly packs: readonly PackId[];
  readonly blobs: Pick<BlobStore, 'get' | 'size'>;
  readonly index: Pick<ObjectIndexReader, 'findings'>;
  readonly signal: AbortSignal;
  onProgress(progress: { objectsDone: number; bytesDone: number }): void;
}

/** Folders deeper than this are not what people make by hand; git itself overflows some tools there. */
const DEPTH_MAX = 4_096;

/**
 * Looks at every blob and tree of the packs: cost grows with what is new. Totals of a tree are sums over its children, by
 * tree id, so that what is known is only added, never walked. @throws PackDamaged | TreeMalformed | Unavailable
 */
export async function scan(options: ScanOptions): Promise<Map<ObjectId, Finding>> {
  const trees = new Map<ObjectId, TreeEntry[]>();
  const blobs = new Map<ObjectId, { bytes: number; finding: BlobFinding }>();
  let paths: Map<ObjectId, string> | undefined;
  const done = { objectsDone: 0, bytesDone: 0 };

  for (const pack of options.packs) {
    for await (const { place, content } of readPack(options.blobs, pack, options.signal)) {
      if (place.kind === 'tree') trees.set(place.id, parseTree(await whole(content), options.format));
      if (place.kind === 'blob') {
        // Packs hold the trees before the blobs: from here on every path is known.
        paths ??= firstPaths(options.root, trees);
        blobs.set(place.id, { bytes: place.bytes, finding: await lookAtBlob(paths.get(place.id) ?? '', place.bytes, content) });
      }
      done.objectsDone += 1;
      done.bytesDone += place.bytes;
      options.onProgress(done);
    }
  }
  const totals = await totalsOf(options, trees, blobs);
  return new Map<ObjectId, Finding>([...[...blobs].map(([id, blob]) => [id, blob.finding] as const), ...totals]);
}

async function whole(content: Buffer | AsyncIterable<Buffer>): Promise<Buffer> {
  if (Buffer.isBuffer(content)) return content;
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Where each new object is met first, in tree order. New trees hang together from the root: what is above a new tree is new. */
function firstPaths(root: ObjectId, trees: ReadonlyMap<ObjectId, readonly TreeEntry[]>): Map<ObjectId, string> {
  const paths = new Map<ObjectId, string>();
  const open: { id: ObjectId; path: string; depth: number }[] = [{ id: root, path: '', depth: 0 }];
  const seen = new Set<ObjectId>();
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (seen.has(at.id) || at.depth > DEPTH_MAX) continue;
    seen.add(at.id);
    for (const entry of trees.get(at.id) ?? []) {
      const path = `${at.path}${entry.name.toString('utf8')}`;
      if (entry.mode === '040000') open.push({ id: entry.id, path: `${path}/`, depth: at.depth + 1 });
      else if (!paths.has(entry.id)) paths.set(entry.id, path);
    }
  }
  return paths;
}

type Blobs = ReadonlyMap<ObjectId, { readonly bytes: number; readonly finding: BlobFinding | undefined }>;

async function totalsOf(options: ScanOptions, trees: ReadonlyMap<ObjectId, readonly TreeEntry[]>, newBlobs: Blobs): Promise<Map<ObjectId, TreeTotals>> {
  const children = [...trees.values()].flat().filter((entry) => entry.mode !== '160000').map((entry) => entry.id);
  const known = await options.index.findings([...new Set(children.filter((id) => !trees.has(id) && !newBlobs.has(id)))]);
  const totals = new Map<ObjectId, TreeTotals>([[emptyTree(options.format), EMPTY]]);
  for (const [id, { finding }] of known) if (finding?.kind === 'tree') totals.set(id, finding);
  const blobOf = (id: ObjectId) => newBlobs.get(id) ?? blobKnown(known.get(id));

  for (const id of childrenFirst(trees)) if (!totals.has(id)) totals.set(id, sum(trees.get(id) ?? [], totals, blobOf));
  return new Map([...totals].filter(([id]) => trees.has(id)));
}

/**
 * The new trees, each after all that are below it. Without recursion: depth and width are bounded by memory alone. Ids are not
 * verified yet, so trees may name each other in a circle; then one of them comes too early, and the storage-writer refuses the pack.
 */
function* childrenFirst(trees: ReadonlyMap<ObjectId, readonly TreeEntry[]>): Generator<ObjectId, void, void> {
  const begun = new Set<ObjectId>();
  for (const first of trees.keys()) {
    const open: { id: ObjectId; isEntered: boolean }[] = [{ id: first, isEntered: false }];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (top.isEntered || begun.has(top.id)) {
        open.pop();
        if (top.isEntered) yield top.id;
        continue;
      }
      begun.add(top.id);
      top.isEntered = true;
      for (const entry of trees.get(top.id) ?? []) if (entry.mode === '040000' && trees.has(entry.id)) open.push({ id: entry.id, isEntered: false });
    }
  }
}

const EMPTY: TreeTotals = { kind: 'tree', files: 0, bytes: 0, languages: {}, counts: {} };

function blobKnown(known: { bytes: number; finding: Finding | undefined } | undefined): { bytes: number; finding: BlobFinding | undefined } | undefined {
  if (known === undefined) return undefined;
  return { bytes: known.bytes, finding: known.finding?.kind === 'blob' ? known.finding : undefined };
}

/** A blob counts under the language of the name it has here: the same bytes may have another name elsewhere. */
function sum(entries: readonly TreeEntry[], totals: ReadonlyMap<ObjectId, TreeTotals>, blobOf: (id: ObjectId) => { bytes: number; finding: BlobFinding | undefined } | undefined): TreeTotals {
  const sums = new LanguageSums();
  let files = 0;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.mode === '160000') continue;
    if (entry.mode === '040000') {
      const below = totals.get(entry.id) ?? EMPTY;
      files += below.files;
      bytes += below.bytes;
      sums.addFolder(below);
      continue;
    }
    const blob = blobOf(entry.id);
    files += 1;
    bytes += blob?.bytes ?? 0;
    const language = blob?.finding?.isBinary === true || entry.mode === '120000' ? null : languageOf(entry.name.toString('utf8'));
    if (language !== null) sums.addFile(language, blob?.bytes ?? 0, blob?.finding?.lines ?? undefined);
  }
  return { kind: 'tree', files, bytes, ...sums.all() };
}

class LanguageSums {
  // Names from linguist, but a name is a name: no prototype to stumble over.
  readonly #bytes = Object.create(null) as Record<string, number>;
  readonly #counts = Object.create(null) as Record<string, readonly [files: number, lines: number]>;
  #isCounted = true;

  addFile(language: string, bytes: number, lines: number | undefined): void {
    this.#bytes[language] = (this.#bytes[language] ?? 0) + bytes;
    this.#count(language, [1, lines ?? 0]);
    if (lines === undefined) this.#isCounted = false;
  }

  addFolder({ languages, counts }: TreeTotals): void {
    for (const [language, bytes] of Object.entries(languages)) this.#bytes[language] = (this.#bytes[language] ?? 0) + bytes;
    for (const [language, count] of Object.entries(counts ?? {})) this.#count(language, count);
    if (counts === undefined) this.#isCounted = false;
  }

  #count(language: string, [files, lines]: readonly [number, number]): void {
    const [before, linesBefore] = this.#counts[language] ?? [0, 0];
    this.#counts[language] = [before + files, linesBefore + lines];
  }

  all(): Pick<TreeTotals, 'languages' | 'counts'> {
    return { languages: { ...this.#bytes }, ...(this.#isCounted ? { counts: { ...this.#counts } } : {}) };
  }
}

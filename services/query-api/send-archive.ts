import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Request } from 'express';
import type { ObjectId } from '#schemas/brand.ts';
import type { TreeEntry } from '#shared/objects/git-tree.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { readTree } from '#shared/objects/read-tree.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { joinedPath, segmentsOf } from './path-bytes.ts';
import { AHEAD_MAX, readAhead } from './read-ahead.ts';
import { receiptHeaders } from './resolve-version.ts';
import { answerUnchanged, rootOf, sendPieces, type ContentAsked, type ContentDeps } from './send-content.ts';
import { objectMissing } from './send-file.ts';
import { paddingOf, tarBeginning, tarEnding, tarHead } from './tar-bytes.ts';
import { findPath } from './tree-entries.ts';

/** Small heads and files go to the socket together. */
const PIECE_BYTES = 65_536;

const FORMATS = { tar: 'application/x-tar', 'tar.gz': 'application/gzip' } as const;
type Format = keyof typeof FORMATS;

/**
 * `GET …/archive?at=&path=&format=`: a version, or what is at a path of it, as the very tar that `git archive` makes of that commit,
 * save that no attributes are heeded (export-ignore, export-subst, line ends): what git stores is what comes. Bit-identical each
 * time; tar.gz as long as zlib is of one version. Damage found on the way cuts the connection: there is no last chunk.
 */
export async function sendArchive(deps: ContentDeps, { request, response, resolved, path, signal }: ContentAsked & { signal: AbortSignal }): Promise<void> {
  const format = formatOf(request);
  const root = rootOf(resolved);
  const segments = segmentsOf(path);
  const found = await findPath(deps.trees, root, segments);
  const { commit, commitTime } = resolved.version;
  // Two commits of one tree differ in what is written into the beginning and in the times.
  const of = `${commit ?? root}-${found.kind === 'tree' ? found.id : found.entry.id}-${joinedPath(segments).toString('base64url')}.${format}`;
  const etag = format === 'tar' ? `"${of}"` : `W/"${of}"`;
  if (answerUnchanged(request, response, { etag, headers: receiptHeaders(deps.epoch, resolved) })) return;
  const headers = {
    'Content-Type': FORMATS[format], 'Cache-Control': 'private, no-cache, no-transform',
    'Content-Disposition': `attachment; filename="${(commit ?? 'empty').slice(0, 12)}.${format}"`,
  };
  if (request.method === 'HEAD') {
    response.set(headers).end();
    return;
  }
  const seconds = commitTime === null ? 0 : Math.floor(Date.parse(commitTime) / 1_000);
  const tar = gathered(tarOf(deps.reader, { commit, root, segments, seconds, signal }));
  await sendPieces(response, format === 'tar' ? tar : gzipped(tar), headers);
}

function formatOf(request: Request): Format {
  const given = textOf(request, 'format') ?? 'tar';
  if (Object.hasOwn(FORMATS, given)) return given as Format;
  throw new Problem(400, 'format-unknown', 'format= takes tar or tar.gz.');
}

export interface TarAsked {
  /** Null for an empty repository. */
  readonly commit: ObjectId | null;
  readonly root: ObjectId;
  /** The names on the way to what is wanted; none for everything. */
  readonly segments: readonly Buffer[];
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

/** Holds one tree a level, AHEAD_MAX small files, and a piece of a large one. @throws as readTree and ObjectReader */
export async function* tarOf(reader: ObjectReader, { commit, root, segments, seconds, signal }: TarAsked): AsyncGenerator<Buffer, void, void> {
  let written = 0;
  const counted = (piece: Buffer) => { written += piece.length; return piece; };
  if (commit !== null) yield counted(tarBeginning(commit, seconds));
  for await (const piece of level({ reader, seconds, signal }, { tree: root, above: Buffer.alloc(0), segments })) yield counted(piece);
  yield tarEnding(written);
}

interface Walk { readonly reader: ObjectReader; readonly seconds: number; readonly signal: AbortSignal | undefined }
interface Level { readonly tree: ObjectId; readonly above: Buffer; readonly segments: readonly Buffer[] }

async function* level(walk: Walk, { tree, above, segments: [wanted, ...deeper] }: Level): AsyncGenerator<Buffer, void, void> {
  walk.signal?.throwIfAborted();
  const all = await readTree(walk.reader, tree);
  const entries = wanted === undefined ? all : all.filter((entry) => entry.name.equals(wanted));
  let ahead = new Map<ObjectId, Buffer>();
  for (const [index, entry] of entries.entries()) {
    if (index % AHEAD_MAX === 0) ahead = await readAhead(walk.reader, blobIds(entries.slice(index, index + AHEAD_MAX)), walk.signal);
    const path = Buffer.concat([above, entry.name]);
    switch (entry.mode) {
      case '040000': {
        const folder = Buffer.concat([path, SLASH]);
        yield tarHead({ ...entry, path: folder, bytes: 0 }, walk.seconds);
        yield* level(walk, { tree: entry.id, above: folder, segments: deeper });
        break;
      }
      case '160000':
        yield tarHead({ ...entry, path: Buffer.concat([path, SLASH]), bytes: 0 }, walk.seconds);
        break;
      case '120000':
        yield tarHead({ ...entry, path, bytes: 0, target: ahead.get(entry.id) ?? await linkTarget(walk, entry.id) }, walk.seconds);
        break;
      case '100644': case '100755':
        yield* fileOf(walk, { entry, path, held: ahead.get(entry.id) });
        break;
      default: entry.mode satisfies never;
    }
  }
}

const SLASH = Buffer.from('/');
const blobIds = (entries: readonly TreeEntry[]) => entries.flatMap(({ mode, id }) => (mode === '040000' || mode === '160000' ? [] : [id]));

async function* fileOf({ reader, seconds, signal }: Walk, { entry, path, held }: { entry: TreeEntry; path: Buffer; held: Buffer | undefined }): AsyncGenerator<Buffer, void, void> {
  if (held !== undefined) {
    yield tarHead({ ...entry, path, bytes: held.length }, seconds);
    yield held;
    yield paddingOf(held.length);
    return;
  }
  const object = await reader.stream(entry.id, signal);
  if (object === undefined) throw objectMissing(entry.id);
  yield tarHead({ ...entry, path, bytes: object.bytes }, seconds);
  yield* object.content;
  yield paddingOf(object.bytes);
}

async function linkTarget({ reader, signal }: Walk, id: ObjectId): Promise<Buffer> {
  const object = await reader.read(id, signal);
  if (object === undefined) throw objectMissing(id);
  return object.content;
}

async function* gathered(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    held.push(piece);
    bytes += piece.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(held);
    [held, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(held);
}

async function* gzipped(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const gzip = createGzip();
  // Its error, if any, comes out of the iteration below: a pipeline destroys both ends with it.
  const flow = pipeline(Readable.from(pieces, { objectMode: false }), gzip).catch(() => undefined);
  try {
    yield* gzip as AsyncIterable<Buffer>;
  } finally {
    gzip.destroy();
    await flow;
  }
}

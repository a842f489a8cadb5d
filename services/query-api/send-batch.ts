import type { Response } from 'express';
import type { z } from 'zod';
import type { ObjectId } from '#schemas/brand.ts';
import type { BatchLine, filesBatch } from '#schemas/api/batch.ts';
import type { TreeEntry } from '#shared/objects/git-tree.ts';
import { ObjectDamaged } from '#shared/objects/object-reader.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { bytesOfHex, joinedPath, segmentsOf, shown } from './path-bytes.ts';
import { AHEAD_MAX, readAhead } from './read-ahead.ts';
import { receiptHeaders, receiptOf, type Resolved } from './resolve-version.ts';
import { rootOf, sendPieces, type ContentDeps } from './send-content.ts';
import { fileAt, objectMissing } from './send-file.ts';
import { typeOf } from './tree-entries.ts';

/** Of one file, which is one line of the answer; larger ones are streamed by …/files/{path}. */
const FILE_BYTES_MAX = 1_048_576;
/** Of all files of an answer, before base64: what a client may have to hold. Paths behind are told as omitted. */
const ANSWER_BYTES_MAX = 64 * 1_048_576;

type Batch = z.output<typeof filesBatch>;

interface BatchAsked { readonly response: Response; readonly resolved: Resolved; readonly batch: Batch; readonly signal: AbortSignal }

/**
 * `POST …/files:batch`: many files of one version in one answer, as NDJSON: the receipt, a line a path in the order given (content in
 * base64, or the problem with that path), and at the end which paths were omitted. An answer without that last line was cut.
 */
export async function sendBatch(deps: ContentDeps, { response, resolved, batch, signal }: BatchAsked): Promise<void> {
  const lines = encoded(batchLines(deps, { resolved, paths: batch.paths.map(bytesGiven), signal }));
  await sendPieces(response, lines, { ...receiptHeaders(deps.epoch, resolved), 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'private, no-store' });
}

const bytesGiven = (given: Batch['paths'][number]) => (typeof given === 'string' ? Buffer.from(given, 'utf8') : bytesOfHex(given.hex));

async function* encoded(lines: AsyncIterable<BatchLine>): AsyncGenerator<Buffer, void, void> {
  for await (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`);
}

async function* batchLines(deps: ContentDeps, { resolved, paths, signal }: { resolved: Resolved; paths: readonly Buffer[]; signal: AbortSignal }): AsyncGenerator<BatchLine, void, void> {
  yield { kind: 'receipt', receipt: receiptOf(deps.epoch, resolved) };
  const root = rootOf(resolved);
  let [bytes, told] = [0, 0];
  for (let at = 0; at < paths.length && told === at; at += AHEAD_MAX) {
    const some = await Promise.all(paths.slice(at, at + AHEAD_MAX).map((path) => found(deps, root, path)));
    const ids = some.flatMap((one) => (one.entry === undefined ? [] : [one.entry.id]));
    const sizes = await deps.index.findings(ids);
    const sizeOf = (id: ObjectId) => sizes.get(id)?.bytes ?? 0;
    const ahead = await readAhead(deps.reader, ids.filter((id) => sizeOf(id) <= FILE_BYTES_MAX), signal).catch(noneWhenDamaged);
    for (const one of some) {
      const size = one.entry === undefined ? 0 : sizeOf(one.entry.id);
      // The first file always goes, so that who asks for what was omitted comes to an end.
      if (size <= FILE_BYTES_MAX && bytes > 0 && bytes + size > ANSWER_BYTES_MAX) break;
      const line = await lineOf(deps, one, { size, held: one.entry && ahead.get(one.entry.id), signal });
      if (line.kind === 'file') bytes += line.bytes;
      told += 1;
      yield line;
    }
  }
  yield { kind: 'end', told, omitted: paths.slice(told).map((path) => shown('path', path) as { path: string }) };
}

/** Each is then read by itself, and the one that is damaged is told with its path. */
function noneWhenDamaged(error: unknown): Map<ObjectId, Buffer> {
  if (error instanceof ObjectDamaged) return new Map();
  throw error;
}

interface Found { readonly path: Buffer; readonly entry?: TreeEntry; readonly problem?: Problem }

async function found(deps: ContentDeps, root: ObjectId, given: Buffer): Promise<Found> {
  const path = joinedPath(segmentsOf(given));
  try {
    const entry = await fileAt(deps, { root, path });
    if (entry.mode !== '160000') return { path, entry };
    return { path, problem: new Problem(422, 'is-a-submodule', `${JSON.stringify(path.toString('utf8'))} is a submodule at commit ${entry.id}: its content is in another repository.`) };
  } catch (error) {
    if (error instanceof Problem) return { path, problem: error };
    throw error;
  }
}

async function lineOf({ reader }: ContentDeps, { path, entry, problem }: Found, { size, held, signal }: { size: number; held: Buffer | undefined; signal: AbortSignal }): Promise<BatchLine> {
  const named = shown('path', path) as { path: string };
  try {
    if (problem !== undefined) throw problem;
    const { id, mode } = entry as TreeEntry;
    if (size > FILE_BYTES_MAX) throw new Problem(413, 'file-too-large', `It has ${size} bytes, more than the ${FILE_BYTES_MAX} of a file in a batch. Ask …/files/ for it.`);
    const content = held ?? (await reader.read(id, signal))?.content;
    if (content === undefined) throw objectMissing(id);
    return { kind: 'file', ...named, type: typeOf({ mode }) as 'file', mode, id, bytes: content.length, contentBase64: content.toString('base64') };
  } catch (error) {
    const told = error instanceof ObjectDamaged ? new Problem(500, 'object-damaged', `${error.message}.`) : error;
    if (told instanceof Problem) return { kind: 'problem', ...named, problem: { status: told.status, code: told.code, detail: told.detail } };
    throw error;
  }
}

import type { ObjectId } from '#schemas/brand.ts';
import type { TreeEntry } from '#shared/objects/git-tree.ts';
import type { StoredObject } from '#shared/objects/object-reader.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { byteRangeOf, partOf } from './byte-range.ts';
import { segmentsOf } from './path-bytes.ts';
import { receiptHeaders } from './resolve-version.ts';
import { answerUnchanged, rootOf, sendPieces, type ContentAsked, type ContentDeps } from './send-content.ts';
import { findPath, typeOf } from './tree-entries.ts';

/** The bytes are told by their length, and damage by what is missing of it: no proxy is to pack them anew. */
const CACHING = 'private, no-cache, no-transform';

/**
 * `GET …/files/{path}`: the very bytes that git holds, or one range of them. Their git id is checked before the last of them is sent.
 * A link is answered with its target as the body, a pointer to large file storage with the pointer; headers say so.
 */
export async function sendFile(deps: ContentDeps, { request, response, resolved, path }: ContentAsked): Promise<void> {
  const entry = await fileAt(deps, { root: rootOf(resolved), path });
  const headers = { ...receiptHeaders(deps.epoch, resolved), 'X-Tekai-Entry': typeOf(entry), 'X-Tekai-Mode': entry.mode };
  if (entry.mode === '160000') {
    response.set({ ...headers, 'X-Tekai-Submodule-Commit': entry.id });
    throw new Problem(422, 'is-a-submodule', `${JSON.stringify(path.toString('utf8'))} is a submodule at commit ${entry.id}: its content is in another repository.`);
  }
  const etag = `"${entry.id}"`;
  if (answerUnchanged(request, response, { etag, headers })) return;
  const [object, found] = await Promise.all([deps.reader.stream(entry.id), deps.index.findings([entry.id])]);
  if (object === undefined) throw objectMissing(entry.id);
  const finding = found.get(entry.id)?.finding;
  const about = {
    'Accept-Ranges': 'bytes', 'Cache-Control': CACHING, 'Content-Disposition': dispositionOf(entry.name),
    ...(finding?.kind === 'blob' && finding.isLfsPointer ? { 'X-Tekai-Lfs-Pointer': 'true' } : {}),
    // By bytes, not by name: text of any language is text, and a browser shows it without running it.
    'Content-Type': finding?.kind === 'blob' && !finding.isBinary ? 'text/plain; charset=utf-8' : 'application/octet-stream',
  };
  await sendObject({ request, response, about, etag }, object);
}

type Sending = Pick<ContentAsked, 'request' | 'response'> & { readonly about: Record<string, string>; readonly etag: string };

async function sendObject({ request, response, about, etag }: Sending, { bytes, content }: StoredObject<AsyncIterable<Buffer>>): Promise<void> {
  if (request.method === 'HEAD') {
    response.set({ ...about, 'Content-Length': String(bytes) }).end();
    return;
  }
  const asked = byteRangeOf({ range: request.headers.range, ifRange: request.get('If-Range') }, { bytes, etag });
  switch (asked.kind) {
    case 'whole': return sendPieces(response, content, { ...about, 'Content-Length': String(bytes) });
    case 'unsatisfiable':
      response.setHeader('Content-Range', `bytes */${bytes}`);
      throw new Problem(416, 'range-outside', `The file has ${bytes} bytes; there are none where Range asks.`);
    case 'part': {
      const part = { ...about, 'Content-Length': String(asked.last - asked.first + 1), 'Content-Range': `bytes ${asked.first}-${asked.last}/${bytes}` };
      return sendPieces(response, partOf(content, asked), part, 206);
    }
    default: return asked satisfies never;
  }
}

/** What stands at a path, folders aside. @throws Problem 404 */
export async function fileAt({ trees }: Pick<ContentDeps, 'trees'>, { root, path }: { root: ObjectId; path: Buffer }): Promise<TreeEntry> {
  const found = await findPath(trees, root, segmentsOf(path));
  if (found.kind === 'entry') return found.entry;
  throw new Problem(404, 'is-a-folder', path.length === 0 ? 'Which file? …/files/{path}; …/tree lists what there is.' : `${JSON.stringify(path.toString('utf8'))} is a folder. Ask …/tree/ for what is in it.`);
}

export function objectMissing(id: ObjectId): Problem {
  return new Problem(503, 'object-missing', `Blob ${id} of a stored version cannot be found. "tekai status" shows whether the store is whole.`, { retryAfterS: 30 });
}

/** RFC 6266: a name that any client reads, and the name itself; of one that is not UTF-8, what can be shown of it. */
export function dispositionOf(name: Buffer): string {
  const text = name.toString('utf8');
  const plain = text.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const exact = encodeURIComponent(text).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return plain === text ? `inline; filename="${plain}"` : `inline; filename="${plain}"; filename*=UTF-8''${exact}`;
}

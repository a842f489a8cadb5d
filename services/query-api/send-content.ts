import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { ObjectId } from '#schemas/brand.ts';
import { joinedPath, segmentsOf, shown } from './path-bytes.ts';
import { receiptHeaders, receiptOf, type Resolved } from './resolve-version.ts';
import { findPath, typeOf } from './tree-entries.ts';
import type { QueryApiDeps } from './service.ts';
import type { Trees } from './tree-cache.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** A page of a folder: 1,000 entries unless asked otherwise, some 200 kB of JSON. */
const ENTRIES_DEFAULT = 1_000;
const ENTRIES_MAX = 10_000;

export interface ContentDeps extends Pick<QueryApiDeps, 'reader' | 'index'> { readonly epoch: string; readonly trees: Trees }

export interface ContentAsked { readonly request: Request; readonly response: Response; readonly resolved: Resolved; readonly path: Buffer }

/** `GET …/tree/{path}`: the entries of a folder. The commit is in `next`, so that pages never mix two versions. */
export async function sendTree(deps: ContentDeps, { request, response, resolved, path }: ContentAsked): Promise<void> {
  const segments = segmentsOf(path);
  const found = await findPath(deps.trees, rootOf(resolved), segments);
  if (found.kind === 'entry') throw new Problem(404, 'not-a-folder', `${JSON.stringify(path.toString('utf8'))} is a ${typeOf(found.entry)}. Ask …/files/ for its content.`);
  if (answerUnchanged(request, response, { etag: tagOf([found.id, receiptOf(deps.epoch, resolved), pageOf(request)]), headers: receiptHeaders(deps.epoch, resolved) })) return;
  const all = await deps.trees.entries(found.id);
  const { after, limit } = pageOf(request);
  const entries = all.slice(after, after + limit);
  const findings = await deps.index.findings(entries.filter((entry) => entry.mode !== '160000').map((entry) => entry.id));
  const next = after + entries.length < all.length ? nextUrl(request, resolved, after + entries.length) : null;
  if (next !== null) response.setHeader('Link', `<${next}>; rel="next"`);
  response.json({
    receipt: receiptOf(deps.epoch, resolved),
    ...shown('path', joinedPath(segments)),
    tree: found.id,
    total: all.length,
    entries: entries.map((entry) => {
      const known = findings.get(entry.id);
      return { ...shown('name', entry.name), type: typeOf(entry), mode: entry.mode, id: entry.id, ...detailsOf(entry.mode, known) };
    }),
    next,
  });
}

/** Strong: another receipt or another page is another answer, though the folder is the same. Known before the folder is read. */
export const tagOf = (parts: unknown) => `"${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}"`;

type Known = Awaited<ReturnType<ContentDeps['index']['findings']>> extends Map<ObjectId, infer Value> ? Value : never;

function detailsOf(mode: string, known: Known | undefined): object {
  if (known === undefined) return {};
  if (known.finding?.kind === 'tree') return { files: known.finding.files, bytes: known.finding.bytes };
  if (known.finding?.kind !== 'blob' || mode === '120000') return { bytes: known.bytes };
  const { language, lines, isBinary, isLfsPointer } = known.finding;
  return { bytes: known.bytes, language, lines, isBinary, ...(isLfsPointer ? { isLfsPointer } : {}) };
}

/**
 * Headers go with the first piece, for with that it is known what is away, and whether a small object is damaged. Damage found
 * later ends the connection before the last piece: what arrives is short of its Content-Length, never a wrong whole.
 */
export async function sendPieces(response: Response, content: AsyncIterable<Buffer>, headers: Record<string, string>, status = 200): Promise<void> {
  const pieces = content[Symbol.asyncIterator]();
  try {
    let next = await pieces.next();
    response.status(status).set(headers);
    while (next.done !== true) {
      const piece = next.value;
      next = await pieces.next();
      if (response.destroyed) return;
      // Head and only piece leave in one write to the socket: most files are small.
      if (next.done === true) return void response.end(piece);
      if (!response.write(piece)) await drainOrClose(response);
    }
    response.end();
  } finally {
    await pieces.return?.();
  }
}

/** Leaves no listener behind: a file of 50 MiB waits some 800 times. */
function drainOrClose(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

export function answerUnchanged(request: Request, response: Response, { etag, headers }: { etag: string; headers: Record<string, string> }): boolean {
  response.set({ ...headers, ETag: etag, 'Cache-Control': 'private, no-cache' });
  // A proxy that compresses makes tags weak: the content is the same.
  if (request.headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) !== true) return false;
  response.status(304).end();
  return true;
}

export function rootOf({ version }: Resolved): ObjectId {
  if (version.tree === null) throw new Problem(404, 'no-such-version', `${version.ref} is deleted.`);
  return version.tree;
}

function pageOf(request: Request): { after: number; limit: number } {
  const whole = (name: string, fallback: number, max: number) => {
    const given = request.query[name];
    if (given === undefined) return fallback;
    if (typeof given !== 'string' || !/^\d{1,9}$/.test(given)) throw new Problem(400, 'page-malformed', `${name}= takes a whole number up to ${max}.`);
    return Math.min(max, Number(given));
  };
  return { after: whole('after', 0, Number.MAX_SAFE_INTEGER), limit: Math.max(1, whole('limit', ENTRIES_DEFAULT, ENTRIES_MAX)) };
}

function nextUrl(request: Request, { version }: Resolved, after: number): string {
  const url = new URL(request.originalUrl, 'http://here');
  url.searchParams.set('after', String(after));
  url.searchParams.set('ref', version.ref);
  if (version.commit !== null) url.searchParams.set('at', version.commit);
  return `${url.pathname}${url.search}`;
}

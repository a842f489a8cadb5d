import type { Request, RequestHandler, Response } from 'express';
import { filesBatch } from '#schemas/api/batch.ts';
import { ObjectDamaged } from '#shared/objects/object-reader.ts';
import { parseBody, readJson } from '#shared/runtime/read-body.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import type { Deps } from './codebase-routes.ts';
import { pathInQuery } from './path-bytes.ts';
import { codebaseOf, resolveVersion } from './resolve-version.ts';
import { sendArchive } from './send-archive.ts';
import { sendBatch } from './send-batch.ts';
import { sendChanges } from './send-changes.ts';
import { sendOccurrences } from './send-occurrences.ts';
import { sendStats } from './send-stats.ts';

/** What is read out of versions, apart from folders and files. Mounted before any router: a path in the query is bytes too. */
export function versionRoutes(deps: Deps): RequestHandler {
  return async (request, response, next) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') { next(); return; }
    const [, id, what] = /^\/v1\/codebases\/([^/?]+)\/(changes|stats|archive)(?:\?|$)/.exec(request.url) ?? [];
    const [, object] = /^\/v1\/objects\/([^/?]+)\/occurrences(?:\?|$)/.exec(request.url) ?? [];
    if (object === undefined && id === undefined) { next(); return; }
    await answering(response, async (signal) => {
      if (object !== undefined) return sendOccurrences(deps, { request, response, id: object, signal });
      const codebase = await codebaseOf(deps.store, id);
      if (what === 'changes') return sendChanges(deps, { request, response, codebase, signal });
      const resolved = await resolveVersion(deps, codebase, { ref: textOf(request, 'ref'), at: textOf(request, 'at'), observedAt: textOf(request, 'observedAt') });
      const asked = { request, response, resolved, path: pathInQuery(request.url), signal };
      return what === 'stats' ? sendStats(deps, asked) : sendArchive(deps, asked);
    });
  };
}

/** The one question that is a POST, for its paths do not fit into a URL. It changes nothing, and wants no Idempotency-Key. */
export function batchRoute(deps: Deps, isKnown: RequestHandler): RequestHandler {
  return async (request, response, next) => {
    const [, id] = /^\/v1\/codebases\/([^/?]+)\/files:batch(?:\?|$)/.exec(request.url) ?? [];
    if (id === undefined || request.method !== 'POST') { next(); return; }
    await passed(isKnown, request, response);
    await passed(readJson, request, response);
    const batch = parseBody(filesBatch, request.body);
    const codebase = await codebaseOf(deps.store, id);
    const resolved = await resolveVersion(deps, codebase, { ref: batch.ref, at: batch.at });
    await answering(response, (signal) => sendBatch(deps, { response, resolved, batch, signal }));
  };
}

function passed(handler: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    // What it throws at once, what it rejects with later, and what it hands on.
    Promise.resolve(handler(request, response, (error?: unknown) => { if (error === undefined) resolve(); else reject(error as Error); })).catch(reject);
  });
}

/** Until the asker has gone: nobody walks trees for whom nobody waits. */
async function answering(response: Response, step: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  response.once('close', onClose);
  try {
    await step(gone.signal);
  } catch (error) {
    if (gone.signal.aborted && !response.writableFinished) return;
    if (response.headersSent) throw error;
    response.removeHeader('ETag');
    throw error instanceof ObjectDamaged ? new Problem(500, 'object-damaged', `${error.message}.`) : error;
  } finally {
    response.off('close', onClose);
  }
}

import { Router, type Request, type RequestHandler } from 'express';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { ObjectDamaged } from '#shared/objects/object-reader.ts';
import type { CodebaseView, VersionView } from '#shared/read-store/read-store.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { bytesOf, bytesOfHex } from './path-bytes.ts';
import { codebaseOf, fullName, receiptOf, resolveVersion } from './resolve-version.ts';
import { sendTree } from './send-content.ts';
import { sendFile } from './send-file.ts';
import type { QueryApiDeps } from './service.ts';
import type { Trees } from './tree-cache.ts';

/** A page of a listing. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

export type Deps = QueryApiDeps & { readonly epoch: string; readonly trees: Trees };

export function codebaseRoutes(deps: Deps): Router {
  const { store, epoch } = deps;
  const router = Router();

  router.get('/v1/codebases', async (request, response) => {
    const limit = limitOf(request);
    const found = await store.codebases({ after: textOf(request, 'after') ?? '', limit });
    const last = found.at(-1);
    const next = found.length === limit && last !== undefined ? `/v1/codebases?after=${last.id}&limit=${limit}` : null;
    if (next !== null) response.setHeader('Link', `<${next}>; rel="next"`);
    response.json({ codebases: found.map((codebase) => summaryOf(codebase)), next });
  });

  router.get('/v1/codebases/:id', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id']);
    const [refs, refsUnderWay, parked, unfolded] = await Promise.all([store.refs(codebase.id), store.refsUnderWay(codebase.id), deps.bus.parked({ key: codebase.id }), store.unfolded(codebase.id)]);
    const main = refs.find((ref) => ref.ref === codebase.defaultRef) ?? refs[0];
    response.json({
      ...summaryOf(codebase),
      refs: refs.length,
      head: main === undefined ? null : receiptOf(epoch, { codebase, version: main, refsUnderWay }),
      // Of any ref: a sync is under way, or waits for its turn.
      refsUnderWay: refsUnderWay.size,
      parked: parked.map(({ group, reason, since, type, facts }) => ({ group, reason, since, type, facts })),
      // Facts that could not be folded: what is answered here may miss them.
      unfolded,
    });
  });

  router.get('/v1/codebases/:id/refs', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id']);
    const [refs, refsUnderWay] = await Promise.all([store.refs(codebase.id), store.refsUnderWay(codebase.id)]);
    response.json({ defaultRef: codebase.defaultRef, refs: refs.map((ref) => ({ ...receiptOf(epoch, { codebase, version: ref, refsUnderWay }), commitTime: ref.commitTime, sync: ref.sync })) });
  });

  router.get('/v1/codebases/:id/versions', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id']);
    const limit = limitOf(request);
    const ref = textOf(request, 'ref');
    const before = textOf(request, 'before');
    const versions = await store.versions(codebase.id, {
      limit,
      ...(ref === undefined ? {} : { ref: fullName(ref, await store.refs(codebase.id)) }),
      ...(before === undefined ? {} : { before: insideOrThrow(epoch, before) }),
    });
    response.json({ versions: versions.map((version) => versionOf(epoch, version)) });
  });

  return router;
}

/** Paths are bytes, and Express decodes them as UTF-8: these two read the URL as it came. Mounted before any router. */
export function contentRoutes(deps: Deps): RequestHandler {
  return async (request, response, next) => {
    const [, id, what, encoded] = /^\/v1\/codebases\/([^/?]+)\/(tree|files)(?:\/([^?]*))?(?:\?|$)/.exec(request.url) ?? [];
    if (id === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) { next(); return; }
    const codebase = await codebaseOf(deps.store, id);
    const resolved = await resolveVersion(deps, codebase, { ref: textOf(request, 'ref'), at: textOf(request, 'at') });
    const hex = textOf(request, 'pathHex');
    const path = hex === undefined ? bytesOf(encoded ?? '') : bytesOfHex(hex);
    try {
      await (what === 'tree' ? sendTree : sendFile)(deps, { request, response, resolved, path });
    } catch (error) {
      if (response.headersSent) throw error;
      // The tag is that of the content, not of a problem.
      response.removeHeader('ETag');
      throw error instanceof ObjectDamaged ? new Problem(500, 'object-damaged', `${error.message}.`) : error;
    }
  };
}

function summaryOf(codebase: CodebaseView) {
  const { id, sourceId, gitlabProjectId, path, followed, defaultRef, hook, registeredAt, lastHintAt, lastObservedAt } = codebase;
  return { id, sourceId, gitlabProjectId, path, followed, defaultRef, hook, registeredAt, lastHintAt, lastObservedAt };
}

const versionOf = (epoch: string, version: VersionView) => ({ ...version, position: positionOutside(epoch, version.position) });

export function textOf(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw new Problem(400, 'given-twice', `${name}= may be given once.`);
  return value;
}

export function limitOf(request: Request): number {
  const value = textOf(request, 'limit');
  if (value === undefined) return LIMIT_DEFAULT;
  if (!/^\d{1,6}$/.test(value) || Number(value) < 1) throw new Problem(400, 'page-malformed', `limit= takes a whole number from 1 to ${LIMIT_MAX}.`);
  return Math.min(LIMIT_MAX, Number(value));
}

export function insideOrThrow(epoch: string, text: string) {
  const inside = positionInside(epoch, text);
  if (inside.kind === 'ok') return inside.position;
  if (inside.kind === 'otherEpoch') throw new Problem(410, 'position-of-another-log', 'This position is of a log that was rebuilt or moved since. Begin again without it.');
  throw new Problem(400, 'position-malformed', 'This is no position as answers give them.');
}

import { Router, type RequestHandler } from 'express';
import { undoUntil } from '#shared/lifecycles/codebase-state.ts';
import { ObjectDamaged } from '#shared/objects/object-reader.ts';
import type { CodebaseView } from '#shared/read-store/read-store.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { bytesOf, bytesOfHex } from './path-bytes.ts';
import { codebaseOf, receiptOf, resolveAsked } from './resolve-version.ts';
import { sendTree } from './send-content.ts';
import { sendFile } from './send-file.ts';
import { sendTagged } from './send-tagged.ts';
import type { QueryApiDeps } from './service.ts';
import type { Trees } from './tree-cache.ts';
import { lastLookOf, watchedBy } from './watching.ts';

export type Deps = QueryApiDeps & { readonly epoch: string; readonly trees: Trees };

export function codebaseRoutes(deps: Deps): Router {
  const { store, epoch } = deps;
  const router = Router();

  router.get('/v1/codebases/:id', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id'], { orRemoved: true });
    const [refs, refsUnderWay, parked, unfolded] = await Promise.all([store.refs(codebase.id), store.refsUnderWay(codebase.id), deps.bus.parked({ key: codebase.id }), store.unfolded(codebase.id)]);
    const main = refs.find((ref) => ref.ref === codebase.defaultRef) ?? refs[0];
    sendTagged(response, codebase.revision, {
      ...summaryOf(codebase),
      refs: refs.length,
      head: main === undefined ? null : receiptOf(epoch, { codebase, version: main, refsUnderWay, isParked: parked.length > 0 }),
      // Of any ref: a sync is under way, or waits for its turn.
      refsUnderWay: refsUnderWay.size,
      parked: parked.map(({ group, reason, since, type, facts }) => ({ group, reason, since, type, facts })),
      // Facts that could not be folded: what is answered here may miss them.
      unfolded,
    });
  });

  return router;
}

/** Paths are bytes, and Express decodes them as UTF-8: these two read the URL as it came. Mounted before any router. */
export function contentRoutes(deps: Deps): RequestHandler {
  return async (request, response, next) => {
    const [, id, what, encoded] = /^\/v1\/codebases\/([^/?]+)\/(tree|files)(?:\/([^?]*))?(?:\?|$)/.exec(request.url) ?? [];
    if (id === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) { next(); return; }
    const resolved = await resolveAsked(deps, id, { ref: textOf(request, 'ref'), at: textOf(request, 'at'), observedAt: textOf(request, 'observedAt') });
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

export function summaryOf(codebase: CodebaseView) {
  const { id, sourceId, gitlabProjectId, path, followed, defaultRef, hook, registeredAt, lastHintAt, lastObservedAt, state, removedAt, revision } = codebase;
  return {
    id, sourceId, gitlabProjectId, path, followed, defaultRef, hook, registeredAt, lastHintAt, lastObservedAt, watchedBy: watchedBy(codebase), lastLook: lastLookOf(codebase), hookTrouble: codebase.look?.hookTrouble ?? null,
    state, undoUntil: state === 'removed' && removedAt !== null ? undoUntil(removedAt) : null, revision,
  };
}

import { Router } from 'express';
import type { ObjectId, Position, SyncId } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { matches } from '#shared/gitlab/followed.ts';
import type { CodebaseView, ReadStore, SyncView, VersionView } from '#shared/read-store/read-store.ts';
import { mustBeKnown } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { createCommitReader, type CommitDetails, type CommitReader } from './commit-details.ts';
import { codebaseFilterOf } from './codebase-filter.ts';
import { pageOf, placeAfter } from './cursor.ts';
import { insideOrThrow, LIMIT_MAX, limitOf, onlyGiven } from './parameters.ts';
import { codebaseOf, fullName, receiptOf, type Deps as ResolveDeps } from './resolve-version.ts';
import { summaryOf } from './codebase-routes.ts';
import type { QueryApiDeps } from './service.ts';

type Deps = QueryApiDeps & ResolveDeps;

/** `GET /v1/codebases`, `…/{id}/refs` and `…/{id}/versions`: which there are, and where what stands there came from. */
export function codebaseLists(deps: Deps): Router {
  const { store, epoch } = deps;
  const commits = createCommitReader(deps);
  const router = Router();

  router.get('/v1/codebases', async (request, response) => {
    const limit = limitOf(request);
    const [after = ''] = placeAfter(request, { values: 1 }) ?? [];
    const filter = await codebaseFilterOf(store, mustBeKnown(response), (name) => textOf(request, name));
    const found = await store.codebases({ after, limit: limit + 1, ...filter });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ id }) => ({ last: [id] }) });
    response.json({ codebases: items.map((codebase) => summaryOf(codebase)), next });
  });

  router.get('/v1/codebases/:id/refs', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id']);
    const limit = limitOf(request, LIMIT_MAX);
    const [after = ''] = placeAfter(request, { values: 1 }) ?? [];
    const asked = { patterns: patternsOf(textOf(request, 'ref')), commit: commitOf(textOf(request, 'commit')) };
    const [all, refsUnderWay, parked] = await Promise.all([store.refs(codebase.id), store.refsUnderWay(codebase.id), deps.bus.parked({ key: codebase.id })]);
    // Sorted here: how a database sorts text is its own, and the cursor is compared here.
    const found = all.filter((ref) => isAsked(ref, asked) && ref.ref > after).sort((left, right) => (left.ref < right.ref ? -1 : 1)).slice(0, limit + 1);
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ ref }) => ({ last: [ref] }) });
    const about = await whence({ store, commits }, items);
    response.json({
      defaultRef: codebase.defaultRef,
      refs: items.map((version) => ({
        ...receiptOf(epoch, { codebase, version, refsUnderWay, isParked: parked.length > 0 }), commitTime: version.commitTime, sync: version.sync, ...about(version),
      })),
      next,
    });
  });

  router.get('/v1/codebases/:id/versions', async (request, response) => {
    const codebase = await codebaseOf(store, request.params['id']);
    const limit = limitOf(request);
    const before = textOf(request, 'before');
    const [after] = placeAfter(request, { values: 1, epoch }) ?? [];
    const refs = await namesOf(store, codebase, textOf(request, 'ref'));
    const found = await store.versions(codebase.id, {
      limit: limit + 1,
      ...onlyGiven({ refs, commit: commitOf(textOf(request, 'commit')), before: after === undefined ? before === undefined ? undefined : insideOrThrow(epoch, before) : after as Position }),
    });
    const { items, next } = pageOf(request, response, { found, limit, placeOf: ({ position }) => ({ last: [position], epoch }) });
    const about = await whence({ store, commits }, items);
    response.json({ versions: items.map((version) => ({ ...version, position: positionOutside(epoch, version.position), ...about(version) })), next });
  });

  return router;
}

/** `release/*` is of branches and tags; without a star it is one name. */
async function namesOf(store: ReadStore, codebase: CodebaseView, ref: string | undefined): Promise<readonly string[] | undefined> {
  if (ref === undefined) return undefined;
  return ref.includes('*') ? patternsOf(ref) : [fullName(ref, await store.refs(codebase.id))];
}

export function patternsOf(ref: string | undefined): readonly string[] | undefined {
  if (ref === undefined) return undefined;
  return ref.startsWith('refs/') || ref.startsWith('*') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
}

/** @throws Problem 400 */
function commitOf(commit: string | undefined): string | undefined {
  if (commit === undefined || /^[0-9a-f]{7,64}$/.test(commit)) return commit;
  throw new Problem(400, 'commit-malformed', 'commit= takes a commit id in small hex digits, or at least its first 7.');
}

function isAsked(version: VersionView, { patterns, commit }: { patterns: readonly string[] | undefined; commit: string | undefined }): boolean {
  return (commit === undefined || version.commit?.startsWith(commit) === true) && (patterns === undefined || patterns.some((pattern) => matches(pattern, version.ref)));
}

interface Whence { readonly details: CommitDetails | null; readonly broughtBy: object | null; readonly steps: object | null }

/** What is known of a page of versions beside where they point: three looks, whatever its length. */
async function whence({ store, commits }: { store: ReadStore; commits: CommitReader }, versions: readonly VersionView[]): Promise<(version: VersionView) => Whence> {
  const [details, syncs] = await Promise.all([
    commits.of(versions.flatMap(({ commit }) => (commit === null ? [] : [commit]))),
    store.syncsById([...new Set(versions.map(({ sync }) => sync))]),
  ]);
  const [causes, deliveries] = await Promise.all([
    store.marks({ ids: [...new Set(syncs.flatMap(({ cause }) => (cause === null ? [] : [cause])))] }),
    store.marks({ correlations: [...new Set(syncs.map(({ correlationId }) => correlationId))], types: ['push.received'] }),
  ]);
  const syncOf = new Map<SyncId, SyncView>(syncs.map((sync) => [sync.id, sync]));
  const causeOf = new Map(causes.map((cause) => [cause.id, cause]));
  const begunByDelivery = new Set(deliveries.map(({ correlationId }) => correlationId));

  return (version) => {
    const sync = syncOf.get(version.sync);
    const cause = sync?.cause === undefined || sync.cause === null ? undefined : causeOf.get(sync.cause);
    return {
      details: version.commit === null ? null : details.get(version.commit as ObjectId) ?? null,
      broughtBy: sync === undefined ? null : {
        cause: sync.cause, type: cause?.type ?? null, correlationId: sync.correlationId, delivery: begunByDelivery.has(sync.correlationId) ? sync.correlationId : null,
      },
      steps: sync === undefined ? null : stepsOf(sync, cause?.time ?? sync.begunAt),
    };
  };
}

/** By our clock. When the tables took it is not known: the log keeps no time of theirs. */
function stepsOf({ fetchedAt, scannedAt, endedAt }: SyncView, receivedAt: string) {
  const between = (from: string | null, to: string | null) => (from === null || to === null ? null : Date.parse(to) - Date.parse(from));
  return {
    receivedAt, fetchedAt, scannedAt, storedAt: endedAt,
    fetchMs: between(receivedAt, fetchedAt), scanMs: between(fetchedAt, scannedAt), storeMs: between(scannedAt, endedAt), totalMs: between(receivedAt, endedAt),
  };
}

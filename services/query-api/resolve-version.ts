import { codebaseId, objectId, type RefName } from '#schemas/brand.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { parseTime } from '#schemas/times.ts';
import { codebaseUnknown, mayRead } from '#shared/access/reading.ts';
import type { Bus } from '#shared/bus/bus.ts';
import { UNDO_MS, undoUntil } from '#shared/lifecycles/codebase-state.ts';
import type { At, CodebaseView, ReadStore, VersionView } from '#shared/read-store/read-store.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { lastLookAt, watchedBy } from './watching.ts';

const UNDO_DAYS = UNDO_MS / 86_400_000;

/**
 * Which version is asked for. `ref` absent: the default branch. The moment, each by its own clock (times are ours):
 * - neither: where the ref points now, which is 404 when it is deleted;
 * - `at` a commit: the newest version of that commit on the ref, or else on any ref of the codebase, also one that is gone;
 * - `at` a position or a time: what was *stored* then, and so could be read here: the newest version recorded by then, in log order;
 * - `observedAt` a time: what *GitLab had* then, as far as we looked: the version of the newest look at GitLab by then, though it was stored later.
 *   With `at` (a position or a time) only what was stored by that moment counts: "what did we know at `at` of GitLab at `observedAt`".
 * Where GitLab showed a deletion by then, it is 404 and says so.
 */
export interface Asked { readonly ref: string | undefined; readonly at: string | undefined; readonly observedAt?: string | undefined }

export interface Deps { readonly store: ReadStore; readonly epoch: string; readonly bus: Pick<Bus, 'parked'> }

export interface Resolved {
  readonly codebase: CodebaseView;
  readonly version: VersionView;
  readonly refsUnderWay: ReadonlySet<RefName>;
  /** Its ref points elsewhere now: later looks at GitLab say nothing of it. */
  readonly isPast?: boolean;
  readonly isParked: boolean;
}

/** What is removed is hidden, and what is deleted is gone: only a look at the codebase itself may ask for the removed too. @throws Problem 404, 410 */
export async function codebaseOf(store: ReadStore, id: string | undefined, options: { orRemoved?: boolean } = {}): Promise<CodebaseView> {
  const parsed = codebaseId.safeParse(id);
  return readable(parsed.success ? await store.codebase(parsed.data) : undefined, id, options);
}

/** One that is named beside that of the address, for which the guard has asked. @throws Problem 404, 410 */
export async function otherCodebaseOf(store: ReadStore, principal: Principal, id: string): Promise<CodebaseView> {
  if (!(await mayRead(store, principal, id))) throw codebaseUnknown(id);
  return codebaseOf(store, id);
}

function readable(codebase: CodebaseView | undefined, id: string | undefined, { orRemoved = false } = {}): CodebaseView {
  if (codebase === undefined) throw codebaseUnknown(id);
  if (codebase.state === 'deleted') throw new Problem(410, 'codebase-deleted', `Codebase ${codebase.id} was deleted, ${UNDO_DAYS} days after it was removed. Registering its GitLab project again begins anew.`);
  if (codebase.state === 'removed' && !orRemoved) throw new Problem(404, 'codebase-removed', `Codebase ${codebase.id} was removed; undo until ${undoUntil(codebase.removedAt ?? '')}. POST /v1/codebases/${codebase.id}/restore brings it back.`);
  return codebase;
}

/** Codebase and version at once: of where a ref points now, which most ask for, in one look. @throws Problem */
export async function resolveAsked(deps: Deps, id: string | undefined, asked: Asked): Promise<Resolved> {
  const { ref, at, observedAt } = asked;
  const parsed = codebaseId.safeParse(id);
  if (parsed.success && at === undefined && observedAt === undefined) {
    const [found, parked] = await Promise.all([deps.store.standing(parsed.data, ref === undefined ? undefined : namesOf(ref)), deps.bus.parked({ key: parsed.data })]);
    const codebase = readable(found?.codebase, id);
    const version = found?.version;
    if (version !== undefined) return { codebase, version, refsUnderWay: new Set(found?.isUnderWay === true ? [version.ref] : []), isParked: parked.length > 0, isPast: false };
  }
  // Also to say why there is nothing.
  return resolveVersion(deps, await codebaseOf(deps.store, id), asked);
}

/** @throws Problem */
export async function resolveVersion({ store, epoch, bus }: Deps, codebase: CodebaseView, { ref, at, observedAt }: Asked): Promise<Resolved> {
  const moment = momentOf(epoch, { at, observedAt });
  const [current, refsUnderWay, parked] = await Promise.all([store.refs(codebase.id), store.refsUnderWay(codebase.id), bus.parked({ key: codebase.id })]);
  const name = ref === undefined ? codebase.defaultRef ?? current[0]?.ref : fullName(ref, current);
  if (name === undefined) throw new Problem(404, 'nothing-stored-yet', 'Nothing of this codebase is stored yet: its first sync is under way, or waits. GET /v1/syncs?codebase= shows which.');
  const version = moment === undefined ? current.find((one) => one.ref === name) : await store.versionAt(codebase.id, name, moment);
  if (version?.state === 'stored') return { codebase, version, refsUnderWay, isParked: parked.length > 0, isPast: !current.some((one) => one.ref === version.ref && one.position === version.position) };
  const what = [name, ...(at === undefined ? [] : [`at ${at}`]), ...(observedAt === undefined ? [] : [`as GitLab had it at ${observedAt}`])].join(' ');
  throw new Problem(404, 'no-such-version', version === undefined
    ? `No version of ${what} is stored. GET /v1/codebases/${codebase.id}/refs lists the refs, /versions what they pointed to.`
    : version.state === 'unfollowed' ? `${what} is followed no longer (since ${version.observedAt}). PATCH /v1/codebases/${codebase.id} says which refs are; what was stored is read with at=.`
      : `${what} was deleted in GitLab (seen ${version.observedAt}).`);
}

/** `main` is `refs/heads/main`, or the tag of that name where there is no such branch. */
export function fullName(ref: string, current: readonly VersionView[]): RefName {
  const names = namesOf(ref);
  return names.find((name) => current.some((one) => one.ref === name)) ?? names[0] as RefName;
}

/** What a name may stand for, the likeliest first. */
const namesOf = (ref: string) => (ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`]) as RefName[];

function momentOf(epoch: string, { at, observedAt }: Pick<Asked, 'at' | 'observedAt'>): At | undefined {
  const stored = at === undefined ? undefined : parseAt(epoch, at);
  if (observedAt === undefined) return stored;
  const time = parseTime(observedAt);
  if (time === undefined) throw new Problem(400, 'time-malformed', 'observedAt= takes a time with its zone, such as 2026-01-31T12:00:00Z.');
  if (stored === undefined) return { observedAt: time };
  if ('commit' in stored || 'observedAt' in stored) throw new Problem(400, 'at-malformed', 'With observedAt=, at= takes a position or a time: a commit is one version, whenever GitLab had it.');
  return { observedAt: time, known: stored };
}

/** @throws Problem 400 when it is neither a commit, a position nor a time; 410 for a position of another log. */
export function parseAt(epoch: string, at: string): At {
  const commit = objectId.safeParse(at);
  if (commit.success) return { commit: commit.data };
  const position = positionInside(epoch, at);
  if (position.kind === 'ok') return { position: position.position };
  if (position.kind === 'otherEpoch') throw new Problem(410, 'position-of-another-log', 'This position is of a log that was rebuilt or moved since. Ask by commit or by time.');
  // Without a zone it would be the server's.
  const time = parseTime(at);
  if (time !== undefined) return { time };
  throw new Problem(400, 'at-malformed', 'at= takes a whole commit id (40 or 64 hex digits), a position as answers give it, or a time such as 2026-01-31T12:00:00Z.');
}

/** How fresh an answer is, and not a bit more (invariant I10). */
export function receiptOf(epoch: string, { codebase, version, refsUnderWay, isParked, isPast = false }: Resolved) {
  return {
    codebase: codebase.id,
    ref: version.ref,
    commit: version.commit,
    tree: version.tree,
    storedAt: version.storedAt,
    observedAt: version.observedAt,
    /** Something says that this ref may have moved since: a push, a command, a failed attempt not yet made good. */
    isHintWaiting: refsUnderWay.has(version.ref) || (codebase.lastWholeHintAt !== null && codebase.lastWholeHintAt > version.observedAt),
    watchedBy: watchedBy(codebase),
    lastLook: lastLookAt(codebase, version, isPast),
    isParked,
    position: positionOutside(epoch, version.position),
  };
}

export function receiptHeaders(epoch: string, resolved: Resolved): Record<string, string> {
  const receipt = receiptOf(epoch, resolved);
  return {
    'X-Tekai-Ref': encodeURI(receipt.ref),
    'X-Tekai-Commit': receipt.commit ?? 'none',
    'X-Tekai-Tree': receipt.tree ?? 'none',
    'X-Tekai-Stored-At': receipt.storedAt,
    'X-Tekai-Observed-At': receipt.observedAt,
    'X-Tekai-Hint-Waiting': String(receipt.isHintWaiting),
    'X-Tekai-Watched-By': receipt.watchedBy,
    'X-Tekai-Looked-At': receipt.lastLook.at,
    'X-Tekai-Parked': String(receipt.isParked),
    'X-Tekai-Position': receipt.position,
  };
}

import type { Request, RequestHandler, Response } from 'express';
import { codebaseId, factId, objectId, type CodebaseId, type FactId, type ObjectId, type Position, type RefName } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { codebaseUnknown, mayRead } from '#shared/access/reading.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ReadStore, SyncView, VersionView } from '#shared/read-store/read-store.ts';
import type { PositionSignal } from '#shared/runtime/position-signal.ts';
import { mustBeKnown } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';
import { insideOrThrow, onlyGiven } from './parameters.ts';
import { createPushes, type Pushes } from './recent-pushes.ts';
import { fullName } from './resolve-version.ts';
import { createTableWatch, hasReached, type TableWatch } from './table-watch.ts';

/** Longer than a push takes; shorter than what proxies cut. */
const WAIT_MS_MAX = 30_000;
/** Each holds a connection and some kB. Beyond, a wait is answered at once: 202, ask again. */
const WAITERS_MAX = 1_000;
const RETRY_AFTER_S = 1;
/** Shown to whoever waited in vain. */
const SYNCS_SHOWN = 20;

type AtLeast =
  | { readonly kind: 'position'; readonly position: Position }
  | { readonly kind: 'commit'; readonly commit: ObjectId }
  | { readonly kind: 'cause'; readonly cause: FactId };

interface Asked { readonly text: string; readonly atLeast: AtLeast; readonly waitMs: number; readonly codebase: CodebaseId; readonly ref: string | undefined }

export interface AtLeastDeps {
  readonly store: ReadStore;
  readonly log: Pick<EventLog, 'readStream'>;
  readonly bus: Pick<Bus, 'parked'>;
  readonly projected: PositionSignal;
  readonly epoch: string;
  /** Aborts when the service stops: who waits is answered. */
  readonly stopping: AbortSignal;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/**
 * `?atLeast=<commit, position or cause>&wait=5s` of a read of a codebase. True: go on, the tables hold it (or nothing was asked
 * for, or there is no such codebase, which the read itself will tell). False: it was answered 202, or the client went away.
 * @throws Problem when the parameters are wrong.
 */
export type UntilAtLeast = (request: Request, response: Response, codebase: string | undefined) => Promise<boolean>;

export function createUntilAtLeast(deps: AtLeastDeps): UntilAtLeast {
  const watch = createTableWatch(deps);
  const pushes = createPushes(deps);

  return async (request, response, id) => {
    const asked = askedOf(deps.epoch, request, id);
    if (asked === undefined) return true;
    const look = () => isReached({ ...deps, pushes, watch }, asked);
    if (await look()) return true;
    const hasCome = asked.waitMs > 0 && watch.size < WAITERS_MAX && await waitFor(watch, look, { ...deps, asked, response });
    if (response.destroyed) return false;
    // The guard asked before the wait: who may read it no longer is told what strangers are (I7).
    if (asked.waitMs > 0 && !(await mayRead(deps.store, mustBeKnown(response), asked.codebase))) throw codebaseUnknown(asked.codebase);
    if (hasCome) return true;
    if (await deps.store.codebase(asked.codebase) === undefined) return true;
    await answerNotYet(deps, response, asked);
    return false;
  };
}

/** For every read below `/v1/codebases/{id}`, whoever serves it. */
export function atLeastHandler(untilAtLeast: UntilAtLeast): RequestHandler {
  return async (request, response, next) => {
    const [, id] = /^\/v1\/codebases\/([^/?]+)(?:[/?]|$)/i.exec(request.url) ?? [];
    if (id === undefined || (request.method !== 'GET' && request.method !== 'HEAD') || await untilAtLeast(request, response, id)) next();
  };
}

function askedOf(epoch: string, request: Request, id: string | undefined): Asked | undefined {
  const text = textOf(request, 'atLeast');
  const wait = textOf(request, 'wait');
  if (text === undefined && wait !== undefined) throw new Problem(400, 'wait-for-what', 'wait= waits for what atLeast= names: a commit, a position, or the cause that a command was answered with.');
  const codebase = codebaseId.safeParse(id);
  if (text === undefined || !codebase.success) return undefined;
  return { text, atLeast: parseAtLeast(epoch, text), waitMs: waitMsOf(wait), codebase: codebase.data, ref: textOf(request, 'ref') };
}

function parseAtLeast(epoch: string, text: string): AtLeast {
  const commit = objectId.safeParse(text);
  if (commit.success) return { kind: 'commit', commit: commit.data };
  const cause = factId.safeParse(text);
  if (cause.success) return { kind: 'cause', cause: cause.data };
  if (/^[0-9a-f]{8}-/.test(text)) return { kind: 'position', position: insideOrThrow(epoch, text) };
  throw new Problem(400, 'at-least-malformed', 'atLeast= takes a whole commit id (40 or 64 hex digits), a position as answers give it, or the cause that a command was answered with.');
}

function waitMsOf(text: string | undefined): number {
  const [, digits, unit] = /^(\d{1,5})(ms|s)?$/.exec(text ?? '0') ?? [];
  const ms = Number(digits) * (unit === 'ms' ? 1 : 1_000);
  if (digits !== undefined && ms <= WAIT_MS_MAX) return ms;
  throw new Problem(400, 'wait-malformed', `wait= takes a time of at most ${WAIT_MS_MAX / 1_000} s, such as 5s or 500ms.`);
}

/** True once `look` says so; false when the time is over, we are to stop, or the client is gone: its place is free then. */
async function waitFor(watch: TableWatch, look: () => Promise<boolean>, { asked, response, stopping, sleep }: { asked: Asked; response: Response } & Pick<AtLeastDeps, 'stopping' | 'sleep'>): Promise<boolean> {
  const over = new AbortController();
  const end = () => over.abort();
  void sleep(asked.waitMs, over.signal).then(end);
  response.once('close', end);
  stopping.addEventListener('abort', end, { once: true });
  const watching = watch.open(asked.atLeast.kind === 'position' ? undefined : asked.codebase);
  try {
    if (stopping.aborted || response.destroyed) return false;
    while (!(await look())) {
      if (over.signal.aborted) return false;
      await watching.next(over.signal);
    }
    return !response.destroyed;
  } finally {
    watching.close();
    end();
    response.off('close', end);
    stopping.removeEventListener('abort', end);
  }
}

type Looking = AtLeastDeps & { readonly pushes: Pushes; readonly watch: TableWatch };

async function isReached(deps: Looking, { atLeast, codebase, ref }: Asked): Promise<boolean> {
  if (atLeast.kind === 'position') return hasReached(deps.watch.position, atLeast.position) || hasReached(await deps.store.position(), atLeast.position);
  const refs = await deps.store.refs(codebase);
  const name = ref === undefined ? undefined : fullName(ref, refs);
  return atLeast.kind === 'commit' ? isCommitReached(deps, { codebase, name, commit: atLeast.commit }) : isCauseReached(deps, { codebase, name, cause: atLeast.cause, refs });
}

/** A version of that commit is in the ref's history (of any ref, unless one was asked for), or of one that was pushed over it. */
async function isCommitReached({ store, pushes }: Looking, { codebase, name, commit }: { codebase: CodebaseId; name: RefName | undefined; commit: ObjectId }): Promise<boolean> {
  const isStored = async (id: ObjectId) => {
    const version = await store.versionAt(codebase, name ?? '' as RefName, { commit: id });
    return version !== undefined && (name === undefined || version.ref === name);
  };
  if (await isStored(commit)) return true;
  // Two pushes in a row are one sync: the first commit never becomes a version, and the ref has moved on past it.
  for (const later of await pushes.over(codebase, { ref: name, commit })) if (await isStored(later)) return true;
  return false;
}

/** What the cause asked for was looked up at GitLab after it was recorded, and can be read. */
async function isCauseReached({ store }: Looking, { codebase, name, cause, refs }: { codebase: CodebaseId; name: RefName | undefined; cause: FactId; refs: readonly VersionView[] }): Promise<boolean> {
  const [mark] = await store.marks({ ids: [cause] });
  if (mark === undefined) return false;
  if (mark.key !== codebase) throw new Problem(400, 'cause-of-another-codebase', `The fact ${cause} is not about codebase ${codebase}.`);
  const isFresh = (ref: RefName) => refs.some((one) => one.ref === ref && one.observedAt >= mark.time);
  const syncs = await store.syncs({ cause, codebase, ...onlyGiven({ refs: name === undefined ? undefined : [name] }), limit: 1_000 });
  if (syncs.length === 0) return name !== undefined && isFresh(name);
  return syncs.every((sync) => isFresh(sync.ref) || isOver(sync));
}

/**
 * Ended, and nothing more will come of it: what it stored GitLab was asked for after the cause, whatever a clock that was set back
 * in between says. Failures are tried again; what a newer hint brings is fresh once it has.
 */
const isOver = ({ state, reason }: SyncView) => state === 'stored' || state === 'deleted' || (state === 'skipped' && reason !== 'newer-hint');

async function answerNotYet({ store, bus, epoch }: AtLeastDeps, response: Response, { text, codebase, ref, waitMs }: Asked): Promise<void> {
  const refs = ref === undefined ? undefined : [fullName(ref, await store.refs(codebase))];
  const [position, syncs, parked] = await Promise.all([
    store.position(), store.syncs({ codebase, states: ['waiting', 'fetched', 'scanned'], limit: SYNCS_SHOWN, ...onlyGiven({ refs }) }), bus.parked({ key: codebase }),
  ]);
  const why = parked.length > 0 ? 'Work on this codebase is set aside: GET /v1/parked says why, and it goes on after a redrive'
    : syncs.length > 0 ? 'A sync is under way; ask again' : 'Nothing that is known of will bring it: was the push seen? POST …/syncs has GitLab asked now';
  // Not by `json`: a tag would make the next 202 a 304.
  response.status(202).set({ 'Retry-After': String(RETRY_AFTER_S), 'Cache-Control': 'no-store' }).type('json').end(JSON.stringify({
    status: 202, code: 'not-yet', detail: `${text} is not here yet${waitMs > 0 ? `, ${waitMs / 1_000} s later` : ''}. ${why}.`, codebase, atLeast: text,
    position: positionOutside(epoch, position),
    syncs: syncs.map(({ id, ref: of, state, commit, begunAt }) => ({ id, ref: of, state, commit, begunAt })),
    parked: parked.map(({ group, reason, since }) => ({ group, reason, since })),
  }));
}

import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import type { CodebaseId } from '#schemas/brand.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';

/** Between two looks: a listing of a thousand codebases costs the engine a few milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** So many looks without a codebase that came through: ask what becomes of those that are left. */
const QUIET_LOOKS = 3;
/** So many without anything that moved: GitLab keeps us waiting, and a person need not wait with us. */
const STALLED_LOOKS = 15;
/** Asked one by one, at most so many at a look, and so many at once. */
const ASKED_MAX = 100;
const ASKED_AT_ONCE = 4;

export interface FirstSync {
  readonly codebase: CodebaseId;
  /** `waiting`: GitLab does not give it yet, and the engine goes on by itself. */
  readonly state: 'synced' | 'failed' | 'waiting';
  readonly reason: string | null;
}

export interface FirstSyncs {
  readonly syncs: ReadonlyMap<CodebaseId, FirstSync>;
  /** As the engine told them last: with the state of their webhooks. */
  readonly codebases: ReadonlyMap<CodebaseId, CodebaseSummary>;
}

export interface AwaitDeps {
  readonly client: Pick<ApiClient, 'codebases' | 'codebase' | 'syncs'>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  onProgress(progress: { readonly ended: number; readonly of: number }): void;
}

const WAITING = 'GitLab does not give it now, or is slow. The engine goes on trying by itself.';

/** Waits until each codebase can be read once, has failed, or nothing moves any more. */
export async function awaitFirstSyncs({ client, sleep, onProgress }: AwaitDeps, wanted: readonly CodebaseId[]): Promise<FirstSyncs> {
  const ended = new Map<CodebaseId, FirstSync>();
  const codebases = new Map<CodebaseId, CodebaseSummary>();
  const isWanted = new Set(wanted);
  const never = new AbortController().signal;
  let [quiet, stalled] = [0, 0];

  for (;;) {
    for await (const one of client.codebases()) if (isWanted.has(one.id)) codebases.set(one.id, one);
    const before = ended.size;
    const pending = wanted.filter((id) => !ended.has(id));
    const asked = pending.filter((id) => (codebases.get(id)?.lastObservedAt ?? null) !== null);
    await eachBounded(asked.slice(0, ASKED_MAX), async (id) => {
      const { head, parked } = await client.codebase(id);
      if (head !== null) ended.set(id, { codebase: id, state: 'synced', reason: null });
      else if (parked[0] !== undefined) ended.set(id, { codebase: id, state: 'failed', reason: parked[0].reason });
    });
    quiet = ended.size > before ? 0 : quiet + 1;
    stalled = ended.size > before ? 0 : stalled + 1;
    if (quiet >= QUIET_LOOKS && await lookCloser(client, { pending: pending.filter((id) => !ended.has(id)), ended })) stalled = 0;
    onProgress({ ended: ended.size, of: wanted.length });

    if (ended.size === isWanted.size || stalled >= STALLED_LOOKS) break;
    await sleep(LOOK_EVERY_MS, never);
  }
  const syncs = new Map(wanted.map((id): [CodebaseId, FirstSync] => [id, ended.get(id) ?? { codebase: id, state: 'waiting', reason: WAITING }]));
  return { syncs, codebases };
}

/** Ends those whose first sync failed; true when one of the others is being worked on. */
async function lookCloser(client: AwaitDeps['client'], { pending, ended }: { pending: readonly CodebaseId[]; ended: Map<CodebaseId, FirstSync> }): Promise<boolean> {
  let isMoving = false;
  await eachBounded(pending.slice(0, ASKED_MAX), async (id) => {
    const [syncs, { parked }] = await Promise.all([client.syncs({ codebase: id, limit: 5 }), client.codebase(id)]);
    const failed = syncs.find(({ state }) => state === 'failed');
    const reason = parked[0]?.reason ?? failed?.detail ?? failed?.reason;
    if (reason !== undefined) ended.set(id, { codebase: id, state: 'failed', reason });
    else if (syncs.some(({ isEnded, progress, state }) => !isEnded && (progress !== null || state === 'fetched' || state === 'scanned'))) isMoving = true;
  });
  return isMoving;
}

async function eachBounded<T>(items: readonly T[], step: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE, items.length) }, async () => {
    for (let at = next++; at < items.length; at = next++) await step(items[at] as T);
  }));
}

import type { CodebaseId, FactId, RefName, SyncId } from '#schemas/brand.ts';
import type { SyncAnswer } from '#schemas/api/syncs.ts';
import { syncIdOf } from '#schemas/ids.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { describeFact } from '#shared/api-client/describe-fact.ts';
import type { LiveMessage } from '#shared/api-client/live.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { printable } from './plain-text.ts';
import type { ProgressDisplay } from './progress-display.ts';

export interface WatchDeps {
  readonly client: Pick<ApiClient, 'live' | 'syncs' | 'sync' | 'codebase'>;
  readonly display: ProgressDisplay;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Watched {
  readonly codebase: CodebaseId;
  readonly cause: FactId;
  /** The refs whose syncs are waited for. `first`: which refs there are is not known yet, and the default branch comes first. */
  readonly refs: readonly RefName[] | 'first';
}

/** Nothing heard for so long: look whether the work was set aside, and say that it is waited for. */
const QUIET_MS = 10_000;
const ENDS = new Set(['codebase.stored', 'sync.skipped', 'ref.deleted', 'sync.failed']);
/** A page of the API. */
const SYNCS_MAX = 1_000;

/** Waits until the syncs of a cause have ended, showing how they come along. @throws CliError when the work was set aside */
export async function watchSyncs({ client, display, sleep }: WatchDeps, { codebase, cause, refs }: Watched): Promise<SyncAnswer[]> {
  const wanted = new Set<SyncId>(refs === 'first' ? [] : refs.map((ref) => syncIdOf(cause, codebase, ref)));
  const ended = new Map<SyncId, SyncAnswer>();
  const isOurs = (sync: SyncId, ref: RefName) => wanted.has(sync) || sync === syncIdOf(cause, codebase, ref);
  const isAllEnded = () => (wanted.size === 0 ? ended.size > 0 : [...wanted].every((sync) => ended.has(sync)));
  const hasEnded = (sync: SyncAnswer) => {
    ended.set(sync.id, sync);
    // What we asked for is being done by the sync of a newer hint: that is the one to wait for.
    if (sync.reason === 'newer-hint' && sync.coveredBy !== null) { wanted.add(sync.coveredBy); wanted.delete(sync.id); }
  };
  const lookAtAll = async () => {
    for (const sync of await client.syncs({ cause, limit: SYNCS_MAX })) if (sync.isEnded) hasEnded(sync);
    for (const sync of [...wanted].filter((one) => !ended.has(one))) await client.sync(sync).then((found) => { if (found.isEnded) hasEnded(found); }, () => undefined);
  };

  const stopping = new AbortController();
  try {
    let isQuietTold = false;
    for await (const message of orQuiet(client.live({ channel: `codebase:${codebase}`, signal: stopping.signal }), { sleep, stopping })) {
      switch (message.kind) {
        // Listening first, then looking: whatever ends falls into one of the two.
        case 'listening':
        case 'resumed':
        case 'gap': await lookAtAll(); break;
        case 'progress': if (isOurs(message.progress.syncId, message.progress.ref)) display.moved(message.progress); break;
        case 'fact': {
          const sync = syncOf(message);
          if (sync === undefined || !isOurs(sync.syncId, sync.ref)) break;
          display.said(`  ${message.type}  ${printable(describeFact(message.type, message.data))}`);
          if (ENDS.has(message.type)) hasEnded(await client.sync(sync.syncId));
          break;
        }
        case 'lost': display.said(`  The connection was lost (${message.reason}); it goes on when the engine is back.`); break;
        case 'quiet': {
          await refuseParked(client, codebase);
          if (!isQuietTold) display.said('  Still waiting: GitLab may be slow or away, or other work of this codebase comes first. Ctrl-C stops the waiting, not the sync.');
          isQuietTold = true;
          break;
        }
        default: message satisfies never;
      }
      if (isAllEnded()) return [...ended.values()];
    }
    throw new CliError(EXIT.failed, 'The engine stopped telling how the sync is coming along. "tekai status" shows how it stands.');
  } finally {
    display.end();
  }
}

function syncOf({ data }: Extract<LiveMessage, { kind: 'fact' }>): { syncId: SyncId; ref: RefName } | undefined {
  const { syncId, ref } = (data ?? {}) as { syncId?: SyncId; ref?: RefName };
  return syncId === undefined || ref === undefined ? undefined : { syncId, ref };
}

async function refuseParked(client: Pick<ApiClient, 'codebase'>, codebase: CodebaseId): Promise<void> {
  const parked = await client.codebase(codebase).then((found) => found.parked, () => []);
  const [first] = parked;
  if (first === undefined) return;
  throw new CliError(EXIT.failed, `The work on this codebase was set aside by ${first.group}: ${printable(first.reason)}. Mend the cause, then "tekai redrive ${first.group} ${codebase}".`);
}

/** The messages, and `quiet` whenever none came for a while. */
async function* orQuiet(messages: AsyncIterable<LiveMessage>, { sleep, stopping }: { sleep: WatchDeps['sleep']; stopping: AbortController }): AsyncGenerator<LiveMessage | { kind: 'quiet' }> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const waiting = new AbortController();
      const first = await Promise.race([next, sleep(QUIET_MS, AbortSignal.any([stopping.signal, waiting.signal])).then(() => 'quiet' as const)]);
      waiting.abort();
      if (first === 'quiet') { yield { kind: 'quiet' }; continue; }
      if (first.done === true) return;
      yield first.value;
      next = iterator.next();
    }
  } finally {
    // First: a message that is still waited for would hold up the end.
    stopping.abort();
    await iterator.return?.();
  }
}

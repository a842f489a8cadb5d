import { BEGINNING, type CodebaseId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase, UNDO_MS } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';

export interface DeleteRemovedDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream' | 'subscribe'>;
  readonly logger: Logger;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Seven days and a minute are seven days. */
const LOOK_EVERY_MS = 60_000;

/**
 * What was removed seven days ago is deleted, by a fact at exactly the revision that was read: an undo that comes at the same
 * time wins or loses whole. Which codebases wait for that is learnt anew from the log at each start: their streams are short,
 * and nothing of it has to be kept. Runs until told to stop.
 */
export async function deleteRemoved(deps: DeleteRemovedDeps, signal: AbortSignal): Promise<void> {
  const waiting = new Map<CodebaseId, number>();
  await Promise.all([followRemovals(deps, waiting, signal), deleteWhenDue(deps, waiting, signal)]);
}

async function followRemovals({ log }: DeleteRemovedDeps, waiting: Map<CodebaseId, number>, signal: AbortSignal): Promise<void> {
  for await (const { facts } of log.subscribe({ after: BEGINNING, prefixes: ['codebase-'], signal })) {
    for (const recorded of facts) {
      const fact = recorded as unknown as Fact;
      if (fact.type === 'codebase.removed') waiting.set(fact.data.codebaseId, Date.parse(fact.time) + UNDO_MS);
      if (fact.type === 'codebase.restored' || fact.type === 'codebase.deleted') waiting.delete(fact.data.codebaseId);
    }
  }
}

async function deleteWhenDue(deps: DeleteRemovedDeps, waiting: Map<CodebaseId, number>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const [codebase, due] of waiting) {
      if (signal.aborted || due > deps.now().getTime()) continue;
      try {
        await deleteOne(deps, codebase);
      } catch (error) {
        deps.logger.warn({ error, codebase }, 'a codebase whose removal is over could not be deleted; it is tried again');
      }
    }
    await deps.sleep(LOOK_EVERY_MS, signal);
  }
}

/** The map may be behind: the stream says what is so. */
async function deleteOne({ log, now }: DeleteRemovedDeps, codebase: CodebaseId): Promise<void> {
  const stream = codebaseStream(codebase);
  const state = await readState(log, stream, applyToCodebase);
  const removal = state?.removal;
  if (state === undefined || removal === undefined || Date.parse(removal.time) + UNDO_MS > now().getTime()) return;
  // Refused: somebody was quicker, and the next look sees what they decided.
  await log.append(stream, state.revision, [newFact({
    type: 'codebase.deleted', key: codebase, actor: { kind: 'scheduler', id: 'deletions' }, correlationId: removal.correlationId, causationId: removal.id, time: now(), data: { codebaseId: codebase },
  })]);
}

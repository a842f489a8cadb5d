import type { CodebaseId, FactId, SyncId } from '#schemas/brand.ts';
import type { RequestSync } from '#schemas/commands/commands.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { commandFactId, commandStream, syncIdOf } from '#schemas/ids.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { Acceptance } from './acceptance.ts';
import type { KnownCodebases } from './known-codebases.ts';
import { noCodebase } from './change-codebase.ts';
import { keyReused } from './command-keys.ts';
import type { CommandContext } from './register-source.ts';

export interface RequestSyncDeps {
  readonly acceptance: Pick<Acceptance, 'accept'>;
  readonly codebases: KnownCodebases;
  readonly vault: Pick<SecretVault, 'digest'>;
  now(): Date;
}

/** One ref: its sync is known at once. All refs: the syncs are those of the cause. */
export interface RequestedSync { readonly cause: FactId; readonly sync: SyncId | null }

/** A look at GitLab is wanted now. Durable once it returns, also while the log is away. @throws Problem */
export async function onRequestSync(deps: RequestSyncDeps, codebaseId: CodebaseId, body: RequestSync & CommandContext): Promise<RequestedSync> {
  const { standing } = await deps.codebases.of(codebaseId);
  if (standing === 'unregistered' || standing === 'removed' || standing === 'deleted') throw noCodebase(codebaseId, standing);
  if (standing === 'archived') throw new Problem(409, 'codebase-archived', `Codebase ${codebaseId} is archived: it is read, and not synced. POST /v1/codebases/${codebaseId}/restore has it synced again.`);
  const { actor, key } = body;
  const ref = body.ref ?? null;
  const digest = deps.vault.digest(JSON.stringify({ codebaseId, ref }));
  const stream = commandStream(actor.id, key);
  const fact = newFact({
    // The same command makes the same fact: repeated while the first still lies in the spool, it names the same cause.
    id: commandFactId(stream, digest),
    type: 'sync.requested', key: codebaseId, actor, correlationId: key, causationId: null, time: deps.now(),
    data: { codebaseId, ref, command: { id: key, digest } },
  });
  const accepted = await deps.acceptance.accept({ stream, fact, delivery: null });
  switch (accepted.kind) {
    case 'full': throw new Problem(503, 'spool-full', 'The log is away and the spool is full; nothing was taken.', { retryAfterS: accepted.retryAfterS });
    case 'recorded':
    case 'spooled': return { cause: fact.id, sync: ref === null ? null : syncIdOf(fact.id, codebaseId, ref) };
    case 'duplicate': {
      const before = accepted.recorded as Fact<'sync.requested'>;
      if (before.type !== 'sync.requested' || before.data.command.digest !== digest) throw keyReused(key);
      return { cause: before.id, sync: ref === null ? null : syncIdOf(before.id, codebaseId, ref) };
    }
    default: return accepted satisfies never;
  }
}

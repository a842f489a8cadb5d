import type { CodebaseId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { factsOf } from '#shared/lifecycles/read-state.ts';
import { ensureHook, hookWishOf, repairHook } from './ensure-hook.ts';
import type { HookChecked } from './looks.ts';
import { installed, parts, refused, type SchedulerDeps } from './on-codebase-registered.ts';

/** Two requests: the list, and what is changed. A good hook takes one. */
export const HOOK_CHECK_REQUESTS = 2;

export interface Checked { readonly row: HookChecked; /** Looked after again at once. */ readonly isUntried: boolean }

/**
 * Tries a refused hook again, or sees whether an installed one still stands and is used; what changed is told.
 * @throws Unavailable, and then nothing is concluded
 */
export async function checkHook(deps: SchedulerDeps, { id, trouble: before, secrets }: { id: CodebaseId; trouble: string | null; secrets: number | null }): Promise<Checked | undefined> {
  const facts: Fact[] = [];
  for await (const fact of factsOf(deps.log, codebaseStream(id))) facts.push(fact);
  const state = facts.reduce(applyToCodebase, undefined as CodebaseState | undefined);
  const last = facts.findLast((fact) => fact.type.startsWith('hook.'));
  // Nobody wants it any more; or the hook is still being made by who eats the registration.
  if (state?.standing !== 'active' || last === undefined || last.type === 'hook.removed') return undefined;
  const { data: registration } = state.registration;
  const wish = await hookWishOf(deps, registration.sourceId);
  if (wish === undefined) return undefined;

  const gitlab = deps.openGitLab(wish.access);
  const project = registration.gitlabProjectId;
  const result = last.type === 'hook.installed' ? await repairHook(gitlab, project, { ...wish, installedId: last.data.gitlabHookId, hasSecrets: (secrets ?? 0) >= wish.secrets, wasSigned: last.data.isSigned }) : await ensureHook(gitlab, project, wish);
  const trouble = result.kind === 'absent' ? before : result.kind === 'refused' && last.type === 'hook.installed' ? result.reason.slice(0, 500) : null;
  const row = { hookCheckedAt: deps.now().toISOString(), hookTrouble: trouble, hookBasis: wish.basis, hookSecrets: result.kind === 'good' || (result.kind === 'installed' && result.hasSecrets) ? wish.secrets : secrets };
  const checked = { row, isUntried: result.kind === 'installed' && result.isUntried === true };
  const told = result.kind === 'installed' ? installed(parts(deps, state.registration), registration, result)
    : result.kind === 'refused' && last.type === 'hook.refused' && last.data.reason !== result.reason.slice(0, 2_000) ? refused(parts(deps, state.registration), registration, result.reason)
      : undefined;
  if (told === undefined) return checked;
  const outcome = await deps.log.append(codebaseStream(id), state.revision, [told]);
  // Somebody decided something about this codebase meanwhile: the next look sees it.
  return outcome.kind === 'appended' ? checked : undefined;
}

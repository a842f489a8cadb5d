import type { CodebaseId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { ensureHook, hookWishOf, repairHook } from './ensure-hook.ts';
import type { HookChecked } from './looks.ts';
import { installed, refused, STREAM_FACTS_MAX, type SchedulerDeps } from './on-codebase-registered.ts';

/** Two requests: the list, and what is changed. A good hook takes one. */
export const HOOK_CHECK_REQUESTS = 2;

/**
 * Tries a refused hook again, or sees whether an installed one still stands and is used; what changed is told.
 * @throws Unavailable, and then nothing is concluded
 */
export async function checkHook(deps: SchedulerDeps, { id, trouble: before }: { id: CodebaseId; trouble: string | null }): Promise<HookChecked | undefined> {
  const stream = (await deps.log.readStream(codebaseStream(id), { limit: STREAM_FACTS_MAX })) as Fact[];
  const [registration] = stream;
  const last = stream.findLast((fact) => fact.type === 'hook.installed' || fact.type === 'hook.refused');
  // The hook is still being made by who eats the registration.
  if (registration?.type !== 'codebase.registered' || last === undefined) return undefined;
  const wish = await hookWishOf(deps, registration.data.sourceId);
  if (wish === undefined) return undefined;

  const gitlab = deps.openGitLab(wish.access);
  const project = registration.data.gitlabProjectId;
  const result = last.type === 'hook.installed' ? await repairHook(gitlab, project, { ...wish, installedId: last.data.gitlabHookId }) : await ensureHook(gitlab, project, wish);
  const trouble = result.kind === 'absent' ? before : result.kind === 'refused' && last.type === 'hook.installed' ? result.reason.slice(0, 500) : null;
  const checked = { hookCheckedAt: deps.now().toISOString(), hookTrouble: trouble, hookBasis: wish.basis };
  const told = result.kind === 'installed' ? installed(deps, registration, result)
    : result.kind === 'refused' && last.type === 'hook.refused' && last.data.reason !== result.reason.slice(0, 2_000) ? refused(deps, registration, result.reason)
      : undefined;
  if (told === undefined) return checked;
  const outcome = await deps.log.append(codebaseStream(id), stream.at(-1)?.revision ?? 0, [told]);
  // Somebody decided something about this codebase meanwhile: the next look sees it.
  return outcome.kind === 'appended' ? checked : undefined;
}

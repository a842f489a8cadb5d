import type { GitLabProjectId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import { GitLabRequestError, type GitLab } from '#shared/gitlab/gitlab.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { LATER_MS, parts, refused, waitForPlace, type HookWorkDeps } from './on-codebase-registered.ts';

/** Takes our webhook away in GitLab. That GitLab will not is told, and keeps nothing waiting: its deliveries are ignored. @throws Unavailable */
export async function onCodebaseRemoved(deps: HookWorkDeps, fact: Fact<'codebase.removed'>): Promise<Outcome> {
  const state = await readState(deps.log, fact.stream, applyToCodebase);
  // Undone, and perhaps removed again: that removal comes later. Or none stands there, or its end is told.
  if (state?.removal?.id !== fact.id || state.hook === undefined || state.hookToldOf === fact.id) return { kind: 'done' };
  const { data: registration } = state.registration;
  const { codebaseId, sourceId, gitlabProjectId } = registration;
  const access = await deps.sources.access(sourceId);
  if (access === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${sourceId} has no credentials` };

  const leave = deps.places.take(sourceId, fact.id);
  if (leave === undefined) return waitForPlace(deps, { sourceId, fact });
  const { id: gitlabHookId } = state.hook;
  const trouble = await deleteHook(deps.openGitLab(access), gitlabProjectId, gitlabHookId).finally(leave);
  const told = trouble === undefined
    ? newFact({ type: 'hook.removed', data: { codebaseId, sourceId, gitlabHookId }, ...parts(deps, fact) })
    : refused(parts(deps, fact), registration, `GitLab does not let us take webhook ${gitlabHookId} away: ${trouble}. Delete it by hand, in the project's settings; what it still delivers is ignored.`);
  const outcome = await deps.log.append(fact.stream, state.revision, [told]);
  // Undone meanwhile, perhaps: look again. The restoring, which comes behind, asks GitLab and makes the hook anew.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

/** Undefined: it is gone, by us or before. */
async function deleteHook(gitlab: GitLab, project: GitLabProjectId, hookId: number): Promise<string | undefined> {
  try {
    const answer = await gitlab.deleteHook(project, hookId);
    return answer.kind === 'refused' ? answer.detail : undefined;
  } catch (error) {
    if (error instanceof GitLabRequestError) return error.message;
    throw error;
  }
}

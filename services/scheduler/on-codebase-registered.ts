import type { GitLabProjectId } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import { GitLabRequestError, type Answer, type GitLab, type GitLabHook, type OpenGitLab, type WantedHook } from '#shared/gitlab/gitlab.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { decideHook } from './decide-hook.ts';

export interface SchedulerDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly sources: Pick<SourceDirectory, 'access' | 'webhookSecrets'>;
  readonly openGitLab: OpenGitLab;
  /** Where GitLab reaches us. */
  readonly publicUrl: string;
  now(): Date;
}

/** A project that GitLab does not show us may come back, as may credentials: asked again, and the hook stays pending. */
export const LATER_MS = 60_000;

/** Registered, or restored: makes sure that GitLab tells us of pushes: one webhook with our URL, made or adopted. @throws Unavailable */
export async function onCodebaseRegistered(deps: SchedulerDeps, fact: Fact<'codebase.registered' | 'codebase.restored'>): Promise<Outcome> {
  const state = await readState(deps.log, fact.stream, applyToCodebase);
  // Nobody wants it any more; or its end is told for this very fact, and the process died before it was done.
  if (state === undefined || state.removal !== undefined || state.standing === 'deleted' || state.hookToldOf === fact.id) return { kind: 'done' };
  // Restored, GitLab is asked whatever is noted: ours may have been taken away just before the removal was undone.
  if (fact.type === 'codebase.registered' && state.hook !== undefined) return { kind: 'done' };
  const { data: registration } = state.registration;
  const { sourceId } = registration;
  const [access, secrets] = await Promise.all([deps.sources.access(sourceId), deps.sources.webhookSecrets(sourceId)]);
  const [token, signingToken] = [secrets?.tokens[0], secrets?.signingTokens[0]];
  if (access === undefined || token === undefined || signingToken === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${sourceId} has no credentials` };

  const wanted: WantedHook = { url: `${deps.publicUrl}/webhooks/gitlab/${sourceId}`, token, signingToken };
  const result = await ensureHook(deps.openGitLab(access), registration.gitlabProjectId, wanted);
  if (result.kind === 'absent') return { kind: 'retry', afterMs: LATER_MS, reason: `GitLab does not show the project or its hooks: ${result.detail}` };
  const told = result.kind === 'installed' ? installed(parts(deps, fact), registration, result) : refused(parts(deps, fact), registration, result.reason);
  const outcome = await deps.log.append(fact.stream, state.revision, [told]);
  // Somebody decided something about this codebase meanwhile: look again.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

type HookResult =
  | { readonly kind: 'installed'; readonly how: 'created' | 'adopted'; readonly hook: GitLabHook }
  | { readonly kind: 'absent'; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: string };

async function ensureHook(gitlab: GitLab, project: GitLabProjectId, wanted: WantedHook): Promise<HookResult> {
  try {
    const hooks = await gitlab.hooks(project);
    if (hooks.kind !== 'ok') return notInstalled(hooks);
    const decision = decideHook(hooks.value, wanted.url);
    const answer = decision.kind === 'create' ? await gitlab.createHook(project, wanted) : await gitlab.updateHook(project, decision.hookId, wanted);
    return answer.kind === 'ok' ? { kind: 'installed', how: decision.kind === 'create' ? 'created' : 'adopted', hook: answer.value } : notInstalled(answer);
  } catch (error) {
    // GitLab would say the same for ever: people must mend it. The address is what it refuses most.
    if (error instanceof GitLabRequestError) return { kind: 'refused', reason: `GitLab does not take the webhook ${wanted.url}: ${error.message}. It must be able to reach TEKAI_PUBLIC_URL, and be allowed to (Admin, Network, Outbound requests).` };
    throw error;
  }
}

function notInstalled(answer: Exclude<Answer<unknown>, { kind: 'ok' }>): HookResult {
  if (answer.kind === 'absent') return answer;
  return { kind: 'refused', reason: `GitLab does not let us make the webhook: ${answer.detail}. It takes a token with the scope api, of a Maintainer.` };
}

export type Registration = Fact<'codebase.registered'>['data'];
export type Parts = ReturnType<typeof parts>;

export const parts = ({ now }: SchedulerDeps, fact: Fact) =>
  ({ key: fact.key, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: fact.correlationId, causationId: fact.id, time: now() });

function installed(given: Parts, { codebaseId, sourceId }: Registration, { how, hook }: Extract<HookResult, { kind: 'installed' }>): NewFact {
  return newFact({ type: 'hook.installed', data: { codebaseId, sourceId, gitlabHookId: hook.id, how, isSigned: hook.isSigned }, ...given });
}

export function refused(given: Parts, { codebaseId, sourceId }: Registration, reason: string): NewFact {
  return newFact({ type: 'hook.refused', data: { codebaseId, sourceId, reason: reason.slice(0, 2_000) }, ...given });
}

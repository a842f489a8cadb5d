import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import { GitLabRequestError, type Answer, type GitLab, type GitLabHook, type OpenGitLab, type WantedHook } from '#shared/gitlab/gitlab.ts';
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
const LATER_MS = 60_000;
/** The stream of a codebase is short: what people and GitLab decided about it. */
const STREAM_FACTS_MAX = 1_000;

/** Makes sure that GitLab tells us of pushes: one webhook with our URL, made or adopted. @throws Unavailable */
export async function onCodebaseRegistered(deps: SchedulerDeps, fact: Fact<'codebase.registered'>): Promise<Outcome> {
  const stream = await deps.log.readStream(fact.stream, { limit: STREAM_FACTS_MAX });
  // Installed already; or refused for this very fact, and the process died before it was done.
  if (stream.some((one) => one.type === 'hook.installed' || (one.type === 'hook.refused' && one.causationId === fact.id))) return { kind: 'done' };
  const { sourceId } = fact.data;
  const [access, secrets] = await Promise.all([deps.sources.access(sourceId), deps.sources.webhookSecrets(sourceId)]);
  const [token, signingToken] = [secrets?.tokens[0], secrets?.signingTokens[0]];
  if (access === undefined || token === undefined || signingToken === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${sourceId} has no credentials` };

  const wanted: WantedHook = { url: `${deps.publicUrl}/webhooks/gitlab/${sourceId}`, token, signingToken };
  const result = await ensureHook(deps.openGitLab(access), fact, wanted);
  if (result.kind === 'absent') return { kind: 'retry', afterMs: LATER_MS, reason: `GitLab does not show the project or its hooks: ${result.detail}` };
  const told = result.kind === 'installed' ? installed(deps, fact, result) : refused(deps, fact, result.reason);
  const outcome = await deps.log.append(fact.stream, stream.at(-1)?.revision ?? fact.revision, [told]);
  // Somebody decided something about this codebase meanwhile: look again.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

type HookResult =
  | { readonly kind: 'installed'; readonly how: 'created' | 'adopted'; readonly hook: GitLabHook }
  | { readonly kind: 'absent'; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: string };

async function ensureHook(gitlab: GitLab, fact: Fact<'codebase.registered'>, wanted: WantedHook): Promise<HookResult> {
  const project = fact.data.gitlabProjectId;
  try {
    const hooks = await gitlab.hooks(project);
    if (hooks.kind !== 'ok') return notInstalled(hooks);
    const decision = decideHook(hooks.value, wanted.url);
    const answer = decision.kind === 'create' ? await gitlab.createHook(project, wanted) : await gitlab.updateHook(project, decision.hookId, wanted);
    const found = hooks.value.find((hook) => decision.kind === 'adopt' && hook.id === decision.hookId);
    // Made by hand because our token may not: it need not be ours to change. Wrong secrets in it show as refused deliveries.
    if (answer.kind === 'refused' && found?.receivesPushes === true) return { kind: 'installed', how: 'adopted', hook: found };
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

const parts = ({ now }: SchedulerDeps, fact: Fact) =>
  ({ key: fact.key, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: fact.correlationId, causationId: fact.id, time: now() });

function installed(deps: SchedulerDeps, fact: Fact<'codebase.registered'>, { how, hook }: Extract<HookResult, { kind: 'installed' }>): NewFact {
  const { codebaseId, sourceId } = fact.data;
  return newFact({ type: 'hook.installed', data: { codebaseId, sourceId, gitlabHookId: hook.id, how, isSigned: hook.isSigned }, ...parts(deps, fact) });
}

function refused(deps: SchedulerDeps, fact: Fact<'codebase.registered'>, reason: string): NewFact {
  const { codebaseId, sourceId } = fact.data;
  return newFact({ type: 'hook.refused', data: { codebaseId, sourceId, reason: reason.slice(0, 2_000) }, ...parts(deps, fact) });
}

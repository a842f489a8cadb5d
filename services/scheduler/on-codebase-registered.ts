import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import type { Answer, GitLab, GitLabHook, OpenGitLab, WantedHook } from '#shared/gitlab/gitlab.ts';
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
  if (stream.some((one) => one.type === 'hook.installed')) return { kind: 'done' };
  const { sourceId } = fact.data;
  const [access, secrets] = await Promise.all([deps.sources.access(sourceId), deps.sources.webhookSecrets(sourceId)]);
  const [token, signingToken] = [secrets?.tokens[0], secrets?.signingTokens[0]];
  if (access === undefined || token === undefined || signingToken === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${sourceId} has no credentials` };

  const wanted: WantedHook = { url: `${deps.publicUrl}/webhooks/gitlab/${sourceId}`, token, signingToken };
  const { how, answer } = await ensureHook(deps.openGitLab(access), fact, wanted);
  if (answer.kind === 'absent') return { kind: 'retry', afterMs: LATER_MS, reason: `GitLab does not show the project or its hooks: ${answer.detail}` };
  const told = answer.kind === 'ok' ? installed(deps, fact, how, answer.value) : refused(deps, fact, answer.detail);
  const outcome = await deps.log.append(fact.stream, stream.at(-1)?.revision ?? fact.revision, [told]);
  // Somebody decided something about this codebase meanwhile: look again.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

async function ensureHook(gitlab: GitLab, fact: Fact<'codebase.registered'>, wanted: WantedHook): Promise<{ how: 'created' | 'adopted'; answer: Answer<GitLabHook> }> {
  const project = fact.data.gitlabProjectId;
  const hooks = await gitlab.hooks(project);
  if (hooks.kind !== 'ok') return { how: 'created', answer: hooks };
  const decision = decideHook(hooks.value, wanted.url);
  switch (decision.kind) {
    case 'create': return { how: 'created', answer: await gitlab.createHook(project, wanted) };
    case 'adopt': return { how: 'adopted', answer: await gitlab.updateHook(project, decision.hookId, wanted) };
    default: return decision satisfies never;
  }
}

const parts = ({ now }: SchedulerDeps, fact: Fact) =>
  ({ key: fact.key, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: fact.correlationId, causationId: fact.id, time: now() });

function installed(deps: SchedulerDeps, fact: Fact<'codebase.registered'>, how: 'created' | 'adopted', hook: GitLabHook): NewFact {
  const { codebaseId, sourceId } = fact.data;
  return newFact({ type: 'hook.installed', data: { codebaseId, sourceId, gitlabHookId: hook.id, how, isSigned: hook.isSigned }, ...parts(deps, fact) });
}

function refused(deps: SchedulerDeps, fact: Fact<'codebase.registered'>, detail: string): NewFact {
  const { codebaseId, sourceId } = fact.data;
  const reason = `GitLab does not let us make the webhook: ${detail}. It takes a token with the scope api, of a Maintainer.`;
  return newFact({ type: 'hook.refused', data: { codebaseId, sourceId, reason: reason.slice(0, 2_000) }, ...parts(deps, fact) });
}

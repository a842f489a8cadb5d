import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { ensureHook, hookWishOf, type HookDeps, type HookResult } from './ensure-hook.ts';

export interface SchedulerDeps extends HookDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly openGitLab: OpenGitLab;
  now(): Date;
}

/** A project that GitLab does not show us may come back, as may credentials: asked again, and the hook stays pending. */
const LATER_MS = 60_000;
/** The stream of a codebase is short: what people and GitLab decided about it. */
export const STREAM_FACTS_MAX = 1_000;

/** Makes sure that GitLab tells us of pushes: one webhook with our URL, made or adopted. @throws Unavailable */
export async function onCodebaseRegistered(deps: SchedulerDeps, fact: Fact<'codebase.registered'>): Promise<Outcome> {
  const stream = await deps.log.readStream(fact.stream, { limit: STREAM_FACTS_MAX });
  // Installed already; or refused for this very fact, and the process died before it was done.
  if (stream.some((one) => one.type === 'hook.installed' || (one.type === 'hook.refused' && one.causationId === fact.id))) return { kind: 'done' };
  const wish = await hookWishOf(deps, fact.data.sourceId);
  if (wish === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${fact.data.sourceId} has no credentials` };

  const result = await ensureHook(deps.openGitLab(wish.access), fact.data.gitlabProjectId, wish);
  if (result.kind === 'absent') return { kind: 'retry', afterMs: LATER_MS, reason: `GitLab does not show the project or its hooks: ${result.detail}` };
  if (result.kind === 'good') return { kind: 'done' };
  const told = result.kind === 'installed' ? installed(deps, fact, result) : refused(deps, fact, result.reason);
  const outcome = await deps.log.append(fact.stream, stream.at(-1)?.revision ?? fact.revision, [told]);
  // Somebody decided something about this codebase meanwhile: look again.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

const parts = ({ now }: Pick<SchedulerDeps, 'now'>, fact: Fact) =>
  ({ key: fact.key, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: fact.correlationId, causationId: fact.id, time: now() });

export function installed(deps: Pick<SchedulerDeps, 'now'>, fact: Fact<'codebase.registered'>, { how, hook }: Extract<HookResult, { kind: 'installed' }>): NewFact {
  const { codebaseId, sourceId } = fact.data;
  return newFact({ type: 'hook.installed', data: { codebaseId, sourceId, gitlabHookId: hook.id, how, isSigned: hook.isSigned }, ...parts(deps, fact) });
}

export function refused(deps: Pick<SchedulerDeps, 'now'>, fact: Fact<'codebase.registered'>, reason: string): NewFact {
  const { codebaseId, sourceId } = fact.data;
  return newFact({ type: 'hook.refused', data: { codebaseId, sourceId, reason: reason.slice(0, 2_000) }, ...parts(deps, fact) });
}

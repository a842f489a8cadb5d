import type { SourceId } from '#schemas/brand.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import type { Outcome } from '#shared/bus/bus.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { SourcePlaces } from '#shared/gitlab/source-places.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { ensureHook, hookWishOf, type HookDeps, type HookResult } from './ensure-hook.ts';

export interface SchedulerDeps extends HookDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly openGitLab: OpenGitLab;
  now(): Date;
}

export interface HookWorkDeps extends SchedulerDeps { readonly places: SourcePlaces }

/** A project that GitLab does not show us may come back, as may credentials: asked again, and the hook stays pending. */
export const LATER_MS = 60_000;

/** Registered, or restored: makes sure that GitLab tells us of pushes: one webhook with our URL, made or adopted. @throws Unavailable */
export async function onCodebaseRegistered(deps: HookWorkDeps, fact: Fact<'codebase.registered' | 'codebase.restored'>): Promise<Outcome> {
  const state = await readState(deps.log, fact.stream, applyToCodebase);
  // Nobody wants it any more; or its end is told for this very fact, and the process died before it was done.
  if (state === undefined || state.removal !== undefined || state.standing === 'deleted' || state.hookToldOf === fact.id) return { kind: 'done' };
  // Restored, GitLab is asked whatever is noted: ours may have been taken away just before the removal was undone.
  if (fact.type === 'codebase.registered' && state.hook !== undefined) return { kind: 'done' };
  const { data: registration } = state.registration;
  const { sourceId } = registration;
  const wish = await hookWishOf(deps, sourceId);
  if (wish === undefined) return { kind: 'retry', afterMs: LATER_MS, reason: `source ${sourceId} has no credentials` };

  const leave = deps.places.take(sourceId, fact.id);
  if (leave === undefined) return waitForPlace(deps, { sourceId, fact });
  const result = await ensureHook(deps.openGitLab(wish.access), registration.gitlabProjectId, wish).finally(leave);
  if (result.kind === 'absent') return { kind: 'retry', afterMs: LATER_MS, reason: `GitLab does not show the project or its hooks: ${result.detail}` };
  if (result.kind === 'good') return { kind: 'done' };
  const told = result.kind === 'installed' ? installed(parts(deps, fact), registration, result) : refused(parts(deps, fact), registration, result.reason);
  const outcome = await deps.log.append(fact.stream, state.revision, [told]);
  // Somebody decided something about this codebase meanwhile: look again.
  return outcome.kind === 'appended' ? { kind: 'done' } : { kind: 'retry', afterMs: 0, reason: 'the codebase changed meanwhile' };
}

/** Holds the key, not a place of the group: other sources' codebases go on. */
export function waitForPlace({ places }: Pick<HookWorkDeps, 'places'>, { sourceId, fact }: { sourceId: SourceId; fact: Fact }): Outcome {
  return { kind: 'hold', reason: `as many webhooks of source ${sourceId} as may be are worked on`, until: (signal) => places.reserve(sourceId, fact.id, signal) };
}

export type Registration = Fact<'codebase.registered'>['data'];
export type Parts = ReturnType<typeof parts>;

export const parts = ({ now }: Pick<SchedulerDeps, 'now'>, fact: Fact) =>
  ({ key: fact.key, actor: { kind: 'scheduler', id: 'hooks' } as const, correlationId: fact.correlationId, causationId: fact.id, time: now() });

export function installed(given: Parts, { codebaseId, sourceId }: Registration, { how, hook }: Extract<HookResult, { kind: 'installed' }>): NewFact {
  return newFact({ type: 'hook.installed', data: { codebaseId, sourceId, gitlabHookId: hook.id, how, isSigned: hook.isSigned }, ...given });
}

export function refused(given: Parts, { codebaseId, sourceId }: Registration, reason: string): NewFact {
  return newFact({ type: 'hook.refused', data: { codebaseId, sourceId, reason: reason.slice(0, 2_000) }, ...given });
}

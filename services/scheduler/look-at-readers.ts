import { randomUUID } from 'node:crypto';
import type { CodebaseId, FactId, GitLabProjectId } from '#schemas/brand.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import { readersStream } from '#schemas/ids.ts';
import type { GitLab } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { CodebaseView, ReadStore } from '#shared/read-store/read-store.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { differenceOf, readsCode, type Difference } from './decide-readers.ts';

export interface ReaderLookDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly store: Pick<ReadStore, 'codebase' | 'gitlabReaders'>;
  now(): Date;
}

/** What told that they may have changed; undefined when it was time. */
export interface ReadersHint { readonly id: FactId; readonly correlationId: string }

export type ReadersLook =
  | { readonly kind: 'seen'; readonly askedAt: string; readonly requests: number; readonly changed: boolean }
  /** GitLab's 401, 403 or 404, or a list that cannot be all of it: it proves nothing, and who read goes on reading (I8). */
  | { readonly kind: 'unanswered'; readonly detail: string }
  /** The tables have not come to the last look yet: asked again in a moment. */
  | { readonly kind: 'behind' }
  /** Nobody reads it any more, whatever GitLab says. */
  | { readonly kind: 'left' };

const PER_PAGE = 100;
/** Of users in one fact, each way. */
const USERS_A_FACT_MAX = 5_000;

/** Asks GitLab who reads the code of a codebase, and tells what changed. @throws Unavailable, and then nothing is concluded */
export async function lookAtReaders(deps: ReaderLookDeps, { id, gitlab, hint }: { id: CodebaseId; gitlab: GitLab; hint: ReadersHint | undefined }): Promise<ReadersLook> {
  const codebase = await deps.store.codebase(id);
  if (codebase?.state !== 'active' && codebase?.state !== 'archived') return { kind: 'left' };
  // Before GitLab is asked: what another look finds meanwhile moves the stream on, and this one's fact is refused.
  const before = await deps.store.gitlabReaders(id);
  const asked = deps.now();
  const project = await gitlab.project(codebase.gitlabProjectId as never);
  if (project.kind !== 'ok') return { kind: 'unanswered', detail: project.detail };
  const told = await membersWhoRead(gitlab, { project: codebase.gitlabProjectId as GitLabProjectId, asked });
  if (told.kind === 'unanswered') return told;

  const difference = differenceOf(before, { users: told.users, beyondMembers: project.value.beyondMembers });
  const seen = { kind: 'seen', askedAt: asked.toISOString(), requests: 1 + told.requests } as const;
  // Equal to what the tables have is not equal to what was told last: that is in the log, and may not have come to them.
  if (difference === undefined) return await hasMoreThan(deps, id, before?.revision ?? -1) ? { kind: 'behind' } : { ...seen, changed: false };
  const facts = readersFacts(codebase, difference, { observedAt: asked, hint });
  const appended = await deps.log.append(readersStream(id), before?.revision ?? 'noStream', facts);
  return appended.kind === 'appended' ? { ...seen, changed: true } : { kind: 'behind' };
}

export type MembersTold = { readonly kind: 'told'; readonly users: readonly number[]; readonly requests: number } | Extract<ReadersLook, { kind: 'unanswered' }>;

/** Who of a project's members reads its code, where GitLab's list proves it: whoever is not in it is out. @throws Unavailable */
export async function membersWhoRead(gitlab: Pick<GitLab, 'members'>, { project, asked }: { readonly project: GitLabProjectId; readonly asked: Date }): Promise<MembersTold> {
  const members = await gitlab.members(project);
  if (members.kind !== 'ok') return { kind: 'unanswered', detail: members.detail };
  // Every project has an owner, and mostly our token's own user.
  if (members.value.length === 0) return { kind: 'unanswered', detail: 'GitLab lists nobody, not even an owner: the token is not shown who is in the project' };
  const today = asked.toISOString().slice(0, 10);
  return { kind: 'told', users: members.value.filter((member) => readsCode(member, today)).map(({ userId }) => userId), requests: 1 + Math.floor(members.value.length / PER_PAGE) };
}

const hasMoreThan = async ({ log }: ReaderLookDeps, id: CodebaseId, revision: number) => (await log.readStream(readersStream(id), { from: revision + 1, limit: 1 })).length > 0;

/** One, but for crowds. Who is out is told first. */
export function readersFacts({ id, sourceId, gitlabProjectId }: CodebaseView, { granted, revoked, beyondMembers }: Difference, { observedAt, hint }: { observedAt: Date; hint: ReadersHint | undefined }): NewFact[] {
  const correlationId = hint?.correlationId ?? randomUUID();
  const one = (some: Pick<Difference, 'granted' | 'revoked'>) => newFact({
    type: 'codebase.readers-observed', key: id, actor: { kind: 'scheduler', id: 'readers' }, correlationId, causationId: hint?.id ?? null, time: observedAt,
    data: { codebaseId: id, sourceId, gitlabProjectId: gitlabProjectId as never, granted: [...some.granted], revoked: [...some.revoked], beyondMembers, observedAt: observedAt.toISOString() },
  });
  const facts: NewFact[] = [];
  for (let from = 0; from === 0 || from < Math.max(granted.length, revoked.length); from += USERS_A_FACT_MAX) {
    facts.push(one({ granted: granted.slice(from, from + USERS_A_FACT_MAX), revoked: revoked.slice(from, from + USERS_A_FACT_MAX) }));
  }
  return facts;
}

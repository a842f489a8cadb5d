import { randomUUID } from 'node:crypto';
import { userId as parsedUserId, type SourceId } from '#schemas/brand.ts';
import type { GitLabUserOf } from '#schemas/api/identity.ts';
import type { Actor } from '#schemas/events/fact.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import { peopleStream, sourceStream } from '#schemas/ids.ts';
import { readPeople, type PeopleState } from '#shared/lifecycles/people-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { applyToSource } from '#shared/lifecycles/source-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';

export interface GitLabUserDeps {
  readonly query: Query;
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly store: Pick<ReadStore, 'sources'>;
  /** What an engine from before had in its table is in the log. @throws Unavailable */
  recorded(): Promise<void>;
  now(): Date;
}

/**
 * Who somebody is in the GitLabs that we know: the log says it, and the read tables follow.
 * @param also a source that the tables may not have yet
 * @throws Problem 404 | Unavailable
 */
export async function gitlabUsersOf(deps: GitLabUserDeps, userId: string, also: readonly SourceId[] = []): Promise<GitLabUserOf[]> {
  await mustBeUser(deps, userId);
  await deps.recorded();
  const found: GitLabUserOf[] = [];
  for (const sourceId of new Set([...(await deps.store.sources()).map(({ id }) => id), ...also])) {
    const gitlabUserId = (await readPeople(deps.log, sourceId)).gitlabUserOf.get(userId);
    if (gitlabUserId !== undefined) found.push({ sourceId, gitlabUserId });
  }
  return found.sort((one, other) => (one.sourceId < other.sourceId ? -1 : 1));
}

/** From now on they read what that GitLab user reads there; in place of another of that GitLab. @throws Problem 404, 409 | Unavailable */
export async function bindGitLabUser(deps: GitLabUserDeps, userId: string, { sourceId, gitlabUserId, actor }: { readonly sourceId: SourceId; readonly gitlabUserId: number; readonly actor: Actor }): Promise<void> {
  await mustBeUser(deps, userId);
  const source = await readState(deps.log, sourceStream(sourceId), applyToSource);
  if (source?.standing !== 'active') throw new Problem(404, 'source-unknown', `There is no source ${sourceId}. GET /v1/sources lists them.`);
  await decide(deps, sourceId, ({ gitlabUserOf }) => {
    if ([...gitlabUserOf].some(([user, id]) => id === gitlabUserId && user !== userId)) {
      throw new Problem(409, 'gitlab-user-bound', `GitLab user ${gitlabUserId} of source ${sourceId} is somebody else here already. Unbind them first: DELETE /v1/users/{id}/gitlab-users/${sourceId}.`);
    }
    return gitlabUserOf.get(userId) === gitlabUserId ? undefined : newFact({ type: 'user.gitlab-bound', ...partsOf(deps, { userId, actor }), data: { userId: parsedUserId.parse(userId), sourceId, gitlabUserId } });
  });
}

/** They read no longer what they read by that. @throws Unavailable */
export async function unbindGitLabUser(deps: GitLabUserDeps, userId: string, { sourceId, actor }: { readonly sourceId: SourceId; readonly actor: Actor }): Promise<void> {
  await decide(deps, sourceId, ({ gitlabUserOf }) => {
    const gitlabUserId = gitlabUserOf.get(userId);
    return gitlabUserId === undefined ? undefined : newFact({ type: 'user.gitlab-unbound', ...partsOf(deps, { userId, actor }), data: { userId: parsedUserId.parse(userId), sourceId, gitlabUserId } });
  });
}

/** Others say who is who in this GitLab at the same time: so often is it looked at again. */
const LOOKS_MAX = 50;

/** Read, decide, append at the revision that was read: said again, it is so already. */
async function decide(deps: GitLabUserDeps, source: SourceId, factOf: (people: PeopleState) => NewFact | undefined): Promise<void> {
  await deps.recorded();
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const people = await readPeople(deps.log, source);
    const fact = factOf(people);
    if (fact === undefined) return;
    if ((await deps.log.append(peopleStream(source), people.revision ?? 'noStream', [fact])).kind === 'appended') return;
  }
  throw new Problem(503, 'too-busy', `Others changed who is who there ${LOOKS_MAX} times while this command was tried. Nothing was done; send it again.`, { retryAfterS: 1 });
}

const partsOf = ({ now }: GitLabUserDeps, { userId, actor }: { readonly userId: string; readonly actor: Actor }) => ({ key: userId, actor, correlationId: randomUUID(), causationId: null, time: now() });

/** Who is erased is nobody anywhere, and whom they were may be somebody else. @throws Problem 404 | Unavailable */
export async function unbindEverywhere(deps: GitLabUserDeps, userId: string, actor: Actor): Promise<void> {
  for (const { sourceId } of await gitlabUsersOf(deps, userId)) await unbindGitLabUser(deps, userId, { sourceId: sourceId as SourceId, actor });
}

/** @throws Problem 404 */
async function mustBeUser({ query }: GitLabUserDeps, id: string): Promise<void> {
  if ((await query('select from identity_users where user_id = $1', [id])).length === 0) throw new Problem(404, 'user-unknown', `There is no user ${JSON.stringify(id)}. GET /v1/users lists them.`);
}

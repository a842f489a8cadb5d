import type { CodebaseId, GitLabProjectId } from '#schemas/brand.ts';
import type { RegisterCodebase } from '#schemas/commands/commands.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { keyReused, type CommandContext } from './register-source.ts';

export interface RegisterCodebaseDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly openGitLab: OpenGitLab;
  readonly vault: Pick<SecretVault, 'digest'>;
  readonly query: Query;
  now(): Date;
}

export interface RegisteredCodebase { readonly codebaseId: CodebaseId; readonly cause: Fact<'codebase.registered'>['id']; readonly isNew: boolean }

/** A GitLab project becomes a codebase; its first sync follows from the fact. @throws Problem | Unavailable */
export async function onRegisterCodebase(deps: RegisterCodebaseDeps, body: RegisterCodebase, { actor, key }: CommandContext): Promise<RegisteredCodebase> {
  const digest = deps.vault.digest(JSON.stringify(body));
  await claimKey(deps.query, { actorId: actor.id, key, digest });
  const project = await askProject(deps, body);
  const codebase = codebaseIdOf(body.sourceId, project.id);
  const fact = newFact({
    type: 'codebase.registered', key: codebase, actor, correlationId: key, causationId: null, time: deps.now(),
    data: { codebaseId: codebase, sourceId: body.sourceId, gitlabProjectId: project.id, path: project.path, followed: body.followed, command: { id: key, digest } },
  });
  const outcome = await deps.log.append(codebaseStream(codebase), 'noStream', [fact]);
  if (outcome.kind === 'appended') return { codebaseId: codebase, cause: fact.id, isNew: true };
  return sameAsBefore(deps, codebase, { key, digest, followed: JSON.stringify(body.followed) });
}

/** Two projects under one key would be two streams, and neither could tell: so the key itself is remembered. @throws Problem | Unavailable */
async function claimKey(query: Query, { actorId, key, digest }: { actorId: string; key: string; digest: string }): Promise<void> {
  const [row] = await query<{ digest: string }>(
    `insert into command_keys (actor, key, digest) values ($1, $2, $3) on conflict (actor, key) do update set key = excluded.key returning digest`, [actorId, key, digest]);
  if (row !== undefined && row.digest !== digest) throw keyReused(key);
}

/** Registered before: by this very command, or by another that wanted the same. */
async function sameAsBefore(deps: RegisterCodebaseDeps, codebase: CodebaseId, now: { key: string; digest: string; followed: string }): Promise<RegisteredCodebase> {
  const [first] = (await deps.log.readStream(codebaseStream(codebase), { limit: 1 })) as Fact<'codebase.registered'>[];
  if (first === undefined) throw new Unavailable('event log', `refused to begin the stream of codebase ${codebase} and then showed it empty`);
  if (first.data.command.id === now.key && first.data.command.digest !== now.digest) throw keyReused(now.key);
  if (JSON.stringify(first.data.followed) !== now.followed) {
    throw new Problem(409, 'codebase-registered', `This GitLab project is codebase ${codebase} already, following other refs.`);
  }
  return { codebaseId: codebase, cause: first.id, isNew: false };
}

/** What GitLab says of the project. By id it may be away: then the hook and the first sync wait for it. */
async function askProject(deps: RegisterCodebaseDeps, body: RegisterCodebase): Promise<{ id: GitLabProjectId; path: string | null }> {
  const access = await deps.sources.access(body.sourceId);
  if (access === undefined) throw new Problem(422, 'source-unknown', `There is no source ${body.sourceId}. GET /v1/sources lists them.`, { errors: [{ pointer: '/sourceId', detail: 'unknown' }] });
  try {
    const answer = await deps.openGitLab(access).project(body.gitlabProject);
    switch (answer.kind) {
      case 'ok': return { id: answer.value.id, path: answer.value.path };
      case 'absent': throw new Problem(422, 'project-absent', `GitLab at ${access.baseUrl} shows no project ${JSON.stringify(body.gitlabProject)} to our token: it does not exist, or the token's user is no member of it.`, { errors: [{ pointer: '/gitlabProject', detail: 'not found' }] });
      case 'refused': throw new Problem(422, 'source-refused', `GitLab at ${access.baseUrl} refused our token (${answer.status}): ${answer.detail}. Give the source a token with the scope read_api or api.`);
      default: return answer satisfies never;
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    if (typeof body.gitlabProject === 'number') return { id: body.gitlabProject, path: null };
    throw new Problem(503, 'gitlab-away', `GitLab cannot be asked now which project ${JSON.stringify(body.gitlabProject)} is (${error.message}). Try again later, or register it by its numeric id.`, { retryAfterS: 10 });
  }
}

import type { CodebaseId, FactId, GitLabProjectId } from '#schemas/brand.ts';
import type { RegisterCodebase } from '#schemas/commands/commands.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { claimKey } from './command-keys.ts';
import { decide } from './decide.ts';
import type { CommandContext } from './register-source.ts';

export interface RegisterCodebaseDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly openGitLab: OpenGitLab;
  readonly vault: Pick<SecretVault, 'digest'>;
  readonly query: Query;
  now(): Date;
}

export interface RegisteredCodebase { readonly codebaseId: CodebaseId; readonly cause: FactId; readonly isNew: boolean; readonly how: 'registered' | 'restored' | 'known' }

/**
 * A GitLab project becomes a codebase; its first sync follows from the fact. One that is archived or removed is restored by it,
 * one that is deleted begins anew. @throws Problem | Unavailable
 */
export async function onRegisterCodebase(deps: RegisterCodebaseDeps, body: RegisterCodebase, context: CommandContext): Promise<RegisteredCodebase> {
  const { actor, key } = context;
  // Before GitLab is asked: a key that means something else is refused whatever GitLab says.
  await claimKey(deps.query, { actorId: actor.id, key, digest: deps.vault.digest(JSON.stringify(body)) });
  const project = await askProject(deps, body);
  const codebase = codebaseIdOf(body.sourceId, project.id);
  const parts = { key: codebase, actor, correlationId: key, causationId: null, time: deps.now() };
  const { state, fact, isRepeated } = await decide(deps, {
    stream: codebaseStream(codebase), apply: applyToCodebase, context, ifMatch: 'any', said: body,
    decide(before, command) {
      if (before === undefined || before.standing === 'deleted') {
        return newFact({ type: 'codebase.registered', ...parts, data: { codebaseId: codebase, sourceId: body.sourceId, gitlabProjectId: project.id, path: project.path, followed: body.followed, command } });
      }
      if (JSON.stringify(before.followed) !== JSON.stringify(body.followed)) {
        throw new Problem(409, 'codebase-registered', `This GitLab project is codebase ${codebase} already, ${before.standing} and following other refs. PATCH /v1/codebases/${codebase} changes them.`);
      }
      return before.standing === 'active' ? undefined : newFact({ type: 'codebase.restored', ...parts, data: { codebaseId: codebase, command } });
    },
  });
  return { codebaseId: codebase, cause: fact?.id ?? state.registration.id, isNew: fact?.type === 'codebase.registered' && !isRepeated, how: fact === undefined ? 'known' : fact.type === 'codebase.restored' ? 'restored' : 'registered' };
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

import type { CodebaseId } from '#schemas/brand.ts';
import type { CommandMark } from '#schemas/events/fact.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import type { FollowedRefs } from '#schemas/events/codebase-registered.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase, undoUntil, type CodebaseState, type Standing } from '#shared/lifecycles/codebase-state.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { decide, type DecideDeps, type Outcome } from './decide.ts';
import type { IfMatch } from './if-match.ts';
import type { CommandContext } from './register-source.ts';

export type CodebaseCommand =
  | { readonly kind: 'follow'; readonly followed: FollowedRefs }
  | { readonly kind: 'archive' }
  | { readonly kind: 'restore' }
  | { readonly kind: 'remove' };

export interface ChangeCodebaseDeps extends DecideDeps {
  readonly sources: Pick<SourceDirectory, 'settings'>;
}

export interface ChangeCodebase extends CommandContext { readonly ifMatch: IfMatch; readonly command: CodebaseCommand }

/** What people decide about a codebase that is registered. @throws Problem | Unavailable */
export function onChangeCodebase(deps: ChangeCodebaseDeps, id: CodebaseId, { command, ifMatch, ...context }: ChangeCodebase): Promise<Outcome<CodebaseState>> {
  return decide(deps, {
    stream: codebaseStream(id), apply: applyToCodebase, context, ifMatch, said: [id, command],
    async decide(state, mark) {
      if (state === undefined || state.standing === 'deleted') throw noCodebase(id, state === undefined ? 'unregistered' : 'deleted');
      if (command.kind === 'restore' && state.standing !== 'active' && (await deps.sources.settings(state.registration.data.sourceId)) === undefined) {
        throw new Problem(409, 'source-removed', `Codebase ${id} cannot be restored: its source was removed, and with it the credentials. Register the GitLab and the project again.`);
      }
      return factOf(state, command, { parts: { key: id, actor: context.actor, correlationId: context.key, causationId: null, time: deps.now() }, mark });
    },
  });
}

interface Making { readonly parts: Pick<Parameters<typeof newFact>[0], 'key' | 'actor' | 'correlationId' | 'causationId' | 'time'>; readonly mark: CommandMark }

/** Undefined: it is so already. @throws Problem: what is removed can only be restored */
function factOf(state: CodebaseState, command: CodebaseCommand, { parts, mark }: Making): NewFact | undefined {
  const { codebaseId } = state.registration.data;
  const data = { codebaseId, command: mark };
  if (state.removal !== undefined && command.kind !== 'restore' && command.kind !== 'remove') throw noCodebase(codebaseId, 'removed', state.removal.time);
  switch (command.kind) {
    case 'follow': return isSame(state.followed, command.followed) ? undefined : newFact({ type: 'codebase.changed', ...parts, data: { ...data, followed: command.followed } });
    case 'archive': return state.standing === 'archived' ? undefined : newFact({ type: 'codebase.archived', ...parts, data });
    case 'restore': return state.standing === 'active' ? undefined : newFact({ type: 'codebase.restored', ...parts, data });
    case 'remove': return state.standing === 'removed' ? undefined : newFact({ type: 'codebase.removed', ...parts, data });
    default: return command satisfies never;
  }
}

const isSame = (a: FollowedRefs, b: FollowedRefs) => JSON.stringify([a.branches, a.tags]) === JSON.stringify([b.branches, b.tags]);

/** Why nothing can be done with a codebase that nobody sees. */
export function noCodebase(id: CodebaseId, standing: Exclude<Standing, 'active' | 'archived'> | 'unregistered', removedAt?: string): Problem {
  switch (standing) {
    case 'unregistered': return new Problem(404, 'codebase-unknown', `There is no codebase ${id}. GET /v1/codebases lists them.`);
    case 'removed': return new Problem(404, 'codebase-removed', `Codebase ${id} was removed${removedAt === undefined ? '' : `; undo until ${undoUntil(removedAt)}`}. POST /v1/codebases/${id}/restore brings it back.`);
    case 'deleted': return new Problem(410, 'codebase-deleted', `Codebase ${id} was deleted. Registering its GitLab project again begins anew.`);
    default: return standing satisfies never;
  }
}

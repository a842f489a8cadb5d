import type { CodebaseId, ProjectId } from '#schemas/brand.ts';
import type { CommandMark } from '#schemas/events/fact.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import { codebaseStream, projectIdOf, projectStream } from '#schemas/ids.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import { applyToProject, type ProjectState } from '#shared/lifecycles/project-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { noCodebase } from './change-codebase.ts';
import { decide, type DecideDeps, type Outcome } from './decide.ts';
import type { IfMatch } from './if-match.ts';
import type { CommandContext } from './register-source.ts';

export type ProjectCommand =
  | { readonly kind: 'rename'; readonly name: string }
  | { readonly kind: 'archive' }
  | { readonly kind: 'restore' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'add-codebase'; readonly codebase: CodebaseId }
  | { readonly kind: 'remove-codebase'; readonly codebase: CodebaseId };

/** A project begins; its id follows from who asked and under which key. @throws Problem | Unavailable */
export function onCreateProject(deps: DecideDeps, { name }: { readonly name: string }, context: CommandContext): Promise<Outcome<ProjectState>> {
  const id = projectIdOf(context.actor.id, context.key);
  return decide(deps, {
    stream: projectStream(id), apply: applyToProject(), context, ifMatch: 'any', said: ['project', name],
    decide: (_none, command) => newFact({ type: 'project.created', ...partsOf(deps, id, context), data: { projectId: id, name, command } }),
  });
}

export interface ChangeProject extends CommandContext { readonly ifMatch: IfMatch; readonly command: ProjectCommand }

/** What people decide about a project. @throws Problem | Unavailable */
export function onChangeProject(deps: DecideDeps, id: ProjectId, { command, ifMatch, ...context }: ChangeProject): Promise<Outcome<ProjectState>> {
  const about = 'codebase' in command ? command.codebase : undefined;
  return decide(deps, {
    stream: projectStream(id), apply: applyToProject(about), context, ifMatch, said: [id, command],
    async decide(state, mark) {
      if (state === undefined) throw new Problem(404, 'project-unknown', `There is no project ${id}. GET /v1/projects lists them.`);
      if (state.standing === 'removed' && command.kind !== 'restore' && command.kind !== 'remove') {
        throw new Problem(404, 'project-removed', `Project ${id} was removed. POST /v1/projects/${id}/restore brings it back.`);
      }
      if (command.kind === 'add-codebase' && !state.isMember) await mustBeThere(deps, command.codebase);
      return factOf(state, command, { parts: partsOf(deps, id, context), mark });
    },
  });
}

const partsOf = (deps: DecideDeps, id: ProjectId, { actor, key }: CommandContext) => ({ key: id, actor, correlationId: key, causationId: null, time: deps.now() });

/** @throws Problem 404, 410 */
async function mustBeThere({ log }: DecideDeps, codebase: CodebaseId): Promise<void> {
  const state = await readState(log, codebaseStream(codebase), applyToCodebase);
  const standing = state?.standing ?? 'unregistered';
  if (standing !== 'active' && standing !== 'archived') throw noCodebase(codebase, standing, state?.removal?.time);
}

/** Undefined: it is so already. */
function factOf(state: ProjectState, command: ProjectCommand, { parts, mark }: { parts: ReturnType<typeof partsOf>; mark: CommandMark }): NewFact | undefined {
  const data = { projectId: state.id, command: mark };
  switch (command.kind) {
    case 'rename': return state.name === command.name ? undefined : newFact({ type: 'project.renamed', ...parts, data: { ...data, name: command.name } });
    case 'archive': return state.standing === 'archived' ? undefined : newFact({ type: 'project.archived', ...parts, data });
    case 'restore': return state.standing === 'active' ? undefined : newFact({ type: 'project.restored', ...parts, data });
    case 'remove': return state.standing === 'removed' ? undefined : newFact({ type: 'project.removed', ...parts, data });
    case 'add-codebase': return state.isMember ? undefined : newFact({ type: 'project.codebase-added', ...parts, data: { ...data, codebaseId: command.codebase } });
    case 'remove-codebase': return state.isMember ? newFact({ type: 'project.codebase-removed', ...parts, data: { ...data, codebaseId: command.codebase } }) : undefined;
    default: return command satisfies never;
  }
}

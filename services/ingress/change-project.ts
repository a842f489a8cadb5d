import type { CodebaseId, ProjectId, UserId } from '#schemas/brand.ts';
import type { CommandMark } from '#schemas/events/fact.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import type { MemberRole } from '#schemas/events/project-member-added.ts';
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
  | { readonly kind: 'remove-codebase'; readonly codebase: CodebaseId }
  | { readonly kind: 'give-reading'; readonly codebase: CodebaseId }
  | { readonly kind: 'take-reading'; readonly codebase: CodebaseId }
  | { readonly kind: 'set-member'; readonly user: UserId; readonly role: MemberRole }
  | { readonly kind: 'remove-member'; readonly user: UserId };

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

/** More are a list that somebody should keep elsewhere. */
const PEOPLE_MAX = 1_000;

interface Made { readonly parts: ReturnType<typeof partsOf>; readonly data: { readonly projectId: ProjectId; readonly command: CommandMark } }

/** @throws Problem 409 */
function setMember(state: ProjectState, { user, role }: { readonly user: UserId; readonly role: MemberRole }, { parts, data }: Made): NewFact | undefined {
  const before = state.people.get(user);
  if (before === role) return undefined;
  if (before !== undefined) {
    if (role !== 'admin') mustKeepAdmin(state, user);
    return newFact({ type: 'project.member-changed', ...parts, data: { ...data, userId: user, role } });
  }
  if (state.people.size >= PEOPLE_MAX) throw new Problem(409, 'too-many-members', `A project has ${PEOPLE_MAX} members at most.`);
  return newFact({ type: 'project.member-added', ...parts, data: { ...data, userId: user, role } });
}

/** Whoever leaves, somebody must be left who decides. @throws Problem 409 */
function mustKeepAdmin({ people, id }: ProjectState, leaving: UserId): void {
  if (people.get(leaving) !== 'admin') return;
  if ([...people].some(([user, role]) => role === 'admin' && user !== leaving)) return;
  throw new Problem(409, 'last-admin', `They are the last admin of project ${id}. Make somebody else an admin first.`);
}

/** Whether such a codebase is somewhere else, or nowhere, is not told: who decides about a project need not be able to see it. @throws Problem 409 */
function giveReading({ id, isMember, isRead }: ProjectState, { codebase }: { readonly codebase: CodebaseId }, { parts, data }: Made): NewFact | undefined {
  if (!isMember) throw new Problem(409, 'codebase-not-in-project', `Project ${id} has no codebase ${codebase}. A system admin adds it: PUT /v1/projects/${id}/codebases/${codebase}.`);
  return isRead ? undefined : newFact({ type: 'project.reading-given', ...parts, data: { ...data, codebaseId: codebase } });
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
    case 'give-reading': return giveReading(state, command, { parts, data });
    case 'take-reading': return state.isRead ? newFact({ type: 'project.reading-taken', ...parts, data: { ...data, codebaseId: command.codebase } }) : undefined;
    case 'set-member': return setMember(state, command, { parts, data });
    case 'remove-member': {
      if (!state.people.has(command.user)) return undefined;
      mustKeepAdmin(state, command.user);
      return newFact({ type: 'project.member-removed', ...parts, data: { ...data, userId: command.user } });
    }
    default: return command satisfies never;
  }
}

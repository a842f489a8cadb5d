import type { CodebaseId, ProjectId, SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';

/** One reason for which somebody could read a codebase. */
export interface Reading {
  readonly codebase: CodebaseId;
  /** Null: whoever is signed in. */
  readonly userId: string | null;
  readonly because: 'gitlab' | 'project' | 'open';
  /** Whom of the GitLab they were. */
  readonly gitlabUserId: number | null;
  readonly project: { readonly id: ProjectId; readonly name: string } | null;
  /** With this fact it began: the last of those that it took. */
  readonly since: Fact;
}

interface CodebaseThen {
  readonly source: SourceId;
  /** What made it readable at all; undefined while it is removed or deleted. */
  stands: Fact | undefined;
  /** GitLab said who reads it, in this life of it. */
  isHeard: boolean;
  readonly users: Map<number, Fact>;
  /** GitLab shows it beyond its members. */
  beyond: Fact | undefined;
}
interface SourceThen { stands: Fact | undefined; open: Fact | undefined; readonly people: Map<string, { readonly gitlabUserId: number; readonly bound: Fact }> }
interface ProjectThen { name: string; stands: Fact | undefined; readonly members: Map<string, Fact>; readonly codebases: Map<CodebaseId, Fact>; readonly read: Map<CodebaseId, Fact> }

/** Who could read what, as the facts say that it was folded from. */
export interface AccessThen {
  readonly codebases: ReadonlyMap<CodebaseId, CodebaseThen>;
  readonly sources: ReadonlyMap<SourceId, SourceThen>;
  readonly projects: ReadonlyMap<ProjectId, ProjectThen>;
}

/**
 * The fold of all that makes somebody a reader, in log order: the same law as the tables of now have (`shared/read-store/readable.ts`,
 * the projector's views), but with each thing the fact that made it so. What is so already is not made so again.
 */
export function foldAccess(facts: readonly Fact[]): AccessThen {
  const then = { codebases: new Map<CodebaseId, CodebaseThen>(), sources: new Map<SourceId, SourceThen>(), projects: new Map<ProjectId, ProjectThen>() };
  for (const fact of facts) {
    if ('projectId' in fact.data) foldProject(placeIn(then.projects, fact.data.projectId, () => ({ name: '', stands: undefined, members: new Map(), codebases: new Map(), read: new Map() })), fact);
    else if ('codebaseId' in fact.data) foldCodebase(then.codebases, fact);
    else if ('sourceId' in fact.data) foldSource(placeIn(then.sources, fact.data.sourceId, () => ({ stands: undefined, open: undefined, people: new Map() })), fact);
  }
  return then;
}

function foldCodebase(codebases: Map<CodebaseId, CodebaseThen>, fact: Fact): void {
  if (fact.type === 'codebase.registered') {
    const { codebaseId, sourceId } = fact.data;
    placeIn(codebases, codebaseId, () => ({ source: sourceId, stands: undefined, isHeard: false, users: new Map(), beyond: undefined })).stands ??= fact;
  }
  const codebase = 'codebaseId' in fact.data && fact.data.codebaseId !== null ? codebases.get(fact.data.codebaseId) : undefined;
  if (codebase === undefined) return;
  switch (fact.type) {
    case 'codebase.archived':
    case 'codebase.restored': codebase.stands ??= fact; return;
    case 'codebase.removed': codebase.stands = undefined; return;
    case 'codebase.deleted':
      codebase.users.clear();
      [codebase.stands, codebase.beyond, codebase.isHeard] = [undefined, undefined, false];
      return;
    case 'codebase.readers-observed': {
      const { granted, revoked, beyondMembers } = fact.data;
      for (const user of granted) placeIn(codebase.users, user, () => fact);
      for (const user of revoked) codebase.users.delete(user);
      codebase.beyond = beyondMembers === 'nobody' ? undefined : codebase.beyond ?? fact;
      codebase.isHeard = true;
      return;
    }
    default:
  }
}

function foldSource(source: SourceThen, fact: Fact): void {
  switch (fact.type) {
    case 'source.registered': source.stands ??= fact; return;
    case 'source.removed': source.stands = undefined; return;
    case 'source.open-projects-decided': source.open = fact.data.readBy === 'members' ? undefined : source.open ?? fact; return;
    case 'user.gitlab-bound': {
      const { userId, gitlabUserId } = fact.data;
      if (source.people.get(userId)?.gitlabUserId !== gitlabUserId) source.people.set(userId, { gitlabUserId, bound: fact });
      return;
    }
    case 'user.gitlab-unbound': source.people.delete(fact.data.userId); return;
    default:
  }
}

function foldProject(project: ProjectThen, fact: Fact): void {
  switch (fact.type) {
    case 'project.created':
      [project.name, project.stands] = [fact.data.name, fact];
      if (fact.actor.kind === 'user') project.members.set(fact.actor.id, fact);
      return;
    case 'project.renamed': project.name = fact.data.name; return;
    case 'project.archived':
    case 'project.restored': project.stands ??= fact; return;
    case 'project.removed': project.stands = undefined; return;
    case 'project.member-added':
    case 'project.member-changed': placeIn(project.members, fact.data.userId, () => fact); return;
    case 'project.member-removed': project.members.delete(fact.data.userId); return;
    case 'project.codebase-added': placeIn(project.codebases, fact.data.codebaseId, () => fact); return;
    case 'project.codebase-removed':
      project.codebases.delete(fact.data.codebaseId);
      project.read.delete(fact.data.codebaseId);
      return;
    case 'project.reading-given': placeIn(project.read, fact.data.codebaseId, () => fact); return;
    case 'project.reading-taken': project.read.delete(fact.data.codebaseId); return;
    default:
  }
}

/** For each reason one; by codebase, and then by who. @param user only theirs, and whoever is signed in */
export function readingsOf(then: AccessThen, user?: string): Reading[] {
  return [...then.codebases].flatMap(([id, codebase]) => readingsOfOne(then, id, codebase)).filter(({ userId }) => user === undefined || userId === null || userId === user)
    .sort((one, other) => compare(one.codebase, other.codebase) || compare(one.userId ?? '', other.userId ?? '') || compare(one.because, other.because) || compare(one.project?.id ?? '', other.project?.id ?? ''));
}

/** Of which codebases that could be read GitLab had not said who reads them. */
export const unheardOf = ({ codebases }: AccessThen): CodebaseId[] => [...codebases].filter(([, { stands, isHeard }]) => stands !== undefined && !isHeard).map(([id]) => id).sort(compare);

function readingsOfOne({ sources, projects }: AccessThen, codebase: CodebaseId, { source: sourceId, stands, users, beyond }: CodebaseThen): Reading[] {
  if (stands === undefined) return [];
  const source = sources.get(sourceId);
  const found: Reading[] = [];
  for (const [userId, { gitlabUserId, bound }] of source?.people ?? []) {
    const granted = users.get(gitlabUserId);
    if (granted !== undefined) found.push({ codebase, userId, because: 'gitlab', gitlabUserId, project: null, since: latest(stands, granted, bound) });
  }
  for (const [id, project] of projects) {
    const [isIn, isRead] = [project.codebases.get(codebase), project.read.get(codebase)];
    if (project.stands === undefined || isIn === undefined || isRead === undefined) continue;
    for (const [userId, isMember] of project.members) {
      found.push({ codebase, userId, because: 'project', gitlabUserId: null, project: { id, name: project.name }, since: latest(stands, project.stands, isIn, isRead, isMember) });
    }
  }
  if (beyond !== undefined && source?.stands !== undefined && source.open !== undefined) {
    found.push({ codebase, userId: null, because: 'open', gitlabUserId: null, project: null, since: latest(stands, beyond, source.stands, source.open) });
  }
  return found;
}

const latest = (first: Fact, ...others: readonly Fact[]): Fact => others.reduce((newest, fact) => (fact.position > newest.position ? fact : newest), first);

function placeIn<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const before = map.get(key);
  if (before !== undefined) return before;
  const made = make();
  map.set(key, made);
  return made;
}

const compare = (left: string, right: string) => (left < right ? -1 : Number(left > right));

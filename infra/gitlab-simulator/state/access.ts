import { groupsAbove, lineOfGroup, namespaceOf } from './paths.ts';
import type { Member, Namespace, Project, Share, Token, User } from './records.ts';
import type { State } from './state.ts';

/** GitLab's access levels. Compare them; new ones appear between. */
export const GUEST = 10;
export const REPORTER = 20;
export const DEVELOPER = 30;
export const MAINTAINER = 40;
export const OWNER = 50;

const ROLE_NAMES: Record<number, string> = { 0: 'No access', 5: 'Minimal Access', 10: 'Guest', 15: 'Planner', 20: 'Reporter', 25: 'Security Manager', 30: 'Developer', 40: 'Maintainer', 50: 'Owner' };

export function roleName(accessLevel: number): string {
  return ROLE_NAMES[accessLevel] ?? 'Developer';
}

/** Who asks: a token and, unless it is a deploy token, the user behind it. Null stands for nobody. */
export interface Caller {
  token: Token;
  user: User | null;
}

/** One way in which a user reaches a project or a group. */
export interface EffectiveMember {
  member: Member;
  accessLevel: number;
}

export interface AccessContext {
  state: State;
  now(): Date;
}

export function membersOfSource(context: AccessContext, source: 'project' | 'group', sourceId: number): Member[] {
  const rows = context.state.members.by('source', (member) => `${member.source}:${member.sourceId}`).get(`${source}:${sourceId}`) ?? [];
  return rows.filter((member) => isLive(context, member.expiresAt));
}

export function sharesOf(context: AccessContext, target: 'project' | 'group', targetId: number): Share[] {
  const rows = context.state.shares.by('target', (share) => `${share.target}:${share.targetId}`).get(`${target}:${targetId}`) ?? [];
  return rows.filter((share) => isLive(context, share.expiresAt));
}

/** An expiry date ends access at the beginning of that day. */
function isLive(context: AccessContext, expiresAt: string | null): boolean {
  return expiresAt === null || context.now().toISOString().slice(0, 10) < expiresAt.slice(0, 10);
}

/** Everybody who reaches a group: by it, by its ancestors, and by groups that any of them was shared with. */
export function effectiveMembersOfGroup(context: AccessContext, group: Namespace): EffectiveMember[] {
  const found: EffectiveMember[] = [];
  for (const level of lineOfGroup(context.state, group)) {
    for (const member of membersOfSource(context, 'group', level.id)) found.push({ member, accessLevel: member.accessLevel });
    for (const share of sharesOf(context, 'group', level.id)) found.push(...membersByShare(context, share));
  }
  return highestEach(found);
}

export function effectiveMembersOfProject(context: AccessContext, project: Project): EffectiveMember[] {
  const found: EffectiveMember[] = membersOfSource(context, 'project', project.id).map((member) => ({ member, accessLevel: member.accessLevel }));
  for (const share of sharesOf(context, 'project', project.id)) found.push(...membersByShare(context, share));
  const nearest = groupsAbove(context.state, project)[0];
  if (nearest) found.push(...effectiveMembersOfGroup(context, nearest));
  return highestEach(found);
}

/** A share gives at most its own level. Only the invited group's own line counts, not what was shared with it in turn. */
function membersByShare(context: AccessContext, share: Share): EffectiveMember[] {
  const group = context.state.namespaces.get(share.groupId);
  if (!group) return [];
  return lineOfGroup(context.state, group)
    .flatMap((level) => membersOfSource(context, 'group', level.id))
    .map((member) => ({ member, accessLevel: Math.min(member.accessLevel, share.accessLevel) }));
}

function highestEach(found: EffectiveMember[]): EffectiveMember[] {
  const highest = new Map<number, EffectiveMember>();
  for (const one of found) {
    const known = highest.get(one.member.userId);
    if (!known || known.accessLevel < one.accessLevel) highest.set(one.member.userId, one);
  }
  return [...highest.values()];
}

export function accessToProject(context: AccessContext, caller: Caller | null, project: Project): number {
  if (!caller) return 0;
  if (!caller.user) return caller.token.projectId === project.id ? REPORTER : 0;
  if (caller.user.isAdmin) return OWNER;
  if (namespaceOf(context.state, project).ownerId === caller.user.id) return OWNER;
  const userId = caller.user.id;
  return effectiveMembersOfProject(context, project).find((one) => one.member.userId === userId)?.accessLevel ?? 0;
}

export function accessToGroup(context: AccessContext, caller: Caller | null, group: Namespace): number {
  if (!caller?.user) return 0;
  if (caller.user.isAdmin) return OWNER;
  const userId = caller.user.id;
  return effectiveMembersOfGroup(context, group).find((one) => one.member.userId === userId)?.accessLevel ?? 0;
}

export function maySeeProject(context: AccessContext, caller: Caller | null, project: Project): boolean {
  if (project.visibility === 'public') return true;
  if (project.visibility === 'internal' && caller?.user && !caller.user.isExternal) return true;
  return accessToProject(context, caller, project) >= GUEST;
}

/** A member of a project inside a private group sees the group too. */
export function maySeeGroup(context: AccessContext, caller: Caller | null, group: Namespace): boolean {
  if (group.visibility === 'public') return true;
  if (group.visibility === 'internal' && caller?.user && !caller.user.isExternal) return true;
  return accessToGroup(context, caller, group) >= GUEST;
}

export function mayReadCode(context: AccessContext, caller: Caller | null, project: Project): boolean {
  if (project.repositoryAccessLevel === 'disabled') return false;
  const access = accessToProject(context, caller, project);
  if (project.repositoryAccessLevel === 'private' || project.visibility === 'private') return access >= REPORTER;
  return maySeeProject(context, caller, project);
}

export function mayPush(context: AccessContext, caller: Caller | null, project: Project): boolean {
  return project.repositoryAccessLevel !== 'disabled' && accessToProject(context, caller, project) >= DEVELOPER;
}

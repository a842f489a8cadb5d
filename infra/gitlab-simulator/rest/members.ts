import { ApiError, empty, invalidParameter, json, notFound } from '../http/answer.ts';
import { offsetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { fireMemberEvent } from '../hooks/fire-system-events.ts';
import type { Instance } from '../instance.ts';
import { effectiveMembersOfGroup, effectiveMembersOfProject, MAINTAINER, membersOfSource, OWNER, type EffectiveMember } from '../state/access.ts';
import { namespaceOf } from '../state/paths.ts';
import type { Member, Namespace, Project, Share } from '../state/records.ts';
import { accessContext, findGroup, findGroupAtLeast, findProject, findProjectAtLeast, requireUser } from './find.ts';
import { showGroup, showMember } from './shapes.ts';

/** The project or the group whose members a call is about. */
type Source = { kind: 'project'; id: number; project: Project; group: null } | { kind: 'group'; id: number; project: null; group: Namespace };

interface Scoping {
  base: string;
  limit?: string;
  toRead(call: Call): Source;
  toChange(call: Call): Source;
}

const ACCESS_LEVELS = [5, 10, 15, 20, 25, 30, 40, 50];

export function memberRoutes(instance: Instance): Route[] {
  const ofProject = (project: Project): Source => ({ kind: 'project', id: project.id, project, group: null });
  const ofGroup = (group: Namespace): Source => ({ kind: 'group', id: group.id, project: null, group });
  return [
    ...sourceRoutes(instance, {
      base: '/projects/:id',
      limit: 'project_members_api',
      toRead: (call) => ofProject(findProject(instance, call)),
      toChange: (call) => ofProject(findProjectAtLeast(instance, call, MAINTAINER)),
    }),
    ...sourceRoutes(instance, { base: '/groups/:id', toRead: (call) => ofGroup(findGroup(instance, call)), toChange: (call) => ofGroup(findGroupAtLeast(instance, call, OWNER)) }),
  ];
}

function sourceRoutes(instance: Instance, { base, limit, toRead, toChange }: Scoping): Route[] {
  const limited = limit === undefined ? {} : { limit };
  return [
    { method: 'GET', pattern: `${base}/members`, ...limited, endpoint: (call) => listMembers(instance, call, directOf(instance, signedIn(call, toRead))) },
    { method: 'GET', pattern: `${base}/members/all`, ...limited, endpoint: (call) => listMembers(instance, call, effectiveOf(instance, signedIn(call, toRead))) },
    { method: 'GET', pattern: `${base}/members/:user_id`, ...limited, endpoint: (call) => showOne(instance, call, directOf(instance, signedIn(call, toRead))) },
    { method: 'GET', pattern: `${base}/members/all/:user_id`, ...limited, endpoint: (call) => showOne(instance, call, effectiveOf(instance, signedIn(call, toRead))) },
    { method: 'POST', pattern: `${base}/members`, endpoint: (call) => addMember(instance, call, toChange(call)) },
    { method: 'PUT', pattern: `${base}/members/:user_id`, endpoint: (call) => changeMember(instance, call, toChange(call)) },
    { method: 'DELETE', pattern: `${base}/members/:user_id`, endpoint: (call) => removeMember(instance, call, toChange) },
    { method: 'POST', pattern: `${base}/share`, endpoint: (call) => addShare(instance, call, toChange(call)) },
    { method: 'DELETE', pattern: `${base}/share/:group_id`, endpoint: (call) => removeShare(instance, call, toChange(call)) },
  ];
}

function signedIn(call: Call, toRead: (call: Call) => Source): Source {
  const source = toRead(call);
  requireUser(call);
  return source;
}

function directOf(instance: Instance, source: Source): EffectiveMember[] {
  return membersOfSource(accessContext(instance), source.kind, source.id).map((member) => ({ member, accessLevel: member.accessLevel }));
}

/** Everybody who reaches it, each once with the highest level. The owner of a personal namespace is among them. */
function effectiveOf(instance: Instance, source: Source): EffectiveMember[] {
  if (source.kind === 'group') return effectiveMembersOfGroup(accessContext(instance), source.group);
  const members = effectiveMembersOfProject(accessContext(instance), source.project);
  const ownerId = namespaceOf(instance.state, source.project).ownerId;
  if (ownerId === null || members.some(({ member }) => member.userId === ownerId)) return members;
  const owner: Member = { id: 0, source: 'project', sourceId: source.id, userId: ownerId, accessLevel: OWNER, expiresAt: null, createdById: null, createdAt: source.project.createdAt };
  return [{ member: owner, accessLevel: OWNER }, ...members];
}

function listMembers(instance: Instance, call: Call, members: EffectiveMember[]) {
  const query = call.input.text('query')?.toLowerCase();
  const wanted = call.input.list('user_ids').map(Number);
  const matching = members
    .filter(({ member }) => {
      const user = instance.state.users.get(member.userId);
      return user !== undefined && (wanted.length === 0 || wanted.includes(user.id)) && (query === undefined || `${user.name} ${user.username}`.toLowerCase().includes(query));
    })
    .sort((a, b) => a.member.userId - b.member.userId);
  return offsetPage(call, matching, (shown) => showMember(instance, shown));
}

function showOne(instance: Instance, call: Call, members: EffectiveMember[]) {
  const shown = members.find(({ member }) => member.userId === Number(call.path['user_id']));
  if (!shown) throw notFound();
  return json(showMember(instance, shown));
}

function accessLevelFrom(call: Call): number {
  const level = call.input.whole('access_level');
  if (level === undefined) throw invalidParameter('access_level is missing');
  if (!ACCESS_LEVELS.includes(level)) throw invalidParameter('access_level does not have a valid value');
  return level;
}

function expiryFrom(call: Call): string | null {
  const given = call.input.text('expires_at') ?? null;
  if (given !== null && !/^\d{4}-\d{2}-\d{2}$/.test(given)) throw invalidParameter('expires_at is invalid');
  return given;
}

function addMember(instance: Instance, call: Call, source: Source) {
  const userId = call.input.whole('user_id');
  if (userId === undefined) throw invalidParameter('user_id is missing');
  if (!instance.state.users.get(userId)) throw notFound('User');
  if (directOf(instance, source).some(({ member }) => member.userId === userId)) throw new ApiError(409, { message: 'Member already exists' });
  const accessLevel = accessLevelFrom(call);
  const inherited = effectiveOf(instance, source).find(({ member }) => member.userId === userId);
  if (inherited && inherited.accessLevel > accessLevel) throw new ApiError(400, { message: { access_level: [`should be greater than or equal to ${inherited.accessLevel} inherited membership`] } });
  const member = instance.state.members.insert({
    source: source.kind,
    sourceId: source.id,
    userId,
    accessLevel,
    expiresAt: expiryFrom(call),
    createdById: call.caller?.user?.id ?? null,
    createdAt: instance.now().toISOString(),
  });
  tell(instance, { verb: 'add', member, source });
  return json(showMember(instance, { member, accessLevel }), 201);
}

function directMember(instance: Instance, call: Call, source: Source): Member {
  const found = directOf(instance, source).find(({ member }) => member.userId === Number(call.path['user_id']));
  if (!found) throw notFound();
  return found.member;
}

function changeMember(instance: Instance, call: Call, source: Source) {
  const before = directMember(instance, call, source);
  const expiresAt = call.input.has('expires_at') ? expiryFrom(call) : before.expiresAt;
  const member = instance.state.members.put({ ...before, accessLevel: accessLevelFrom(call), expiresAt });
  tell(instance, { verb: 'update', member, source });
  return json(showMember(instance, { member, accessLevel: member.accessLevel }));
}

/** Everybody may leave by himself. */
function removeMember(instance: Instance, call: Call, toChange: (call: Call) => Source) {
  const isSelf = requireUser(call).id === Number(call.path['user_id']);
  const source = isSelf ? leaving(instance, call) : toChange(call);
  const member = directMember(instance, call, source);
  instance.state.members.remove(member.id);
  tell(instance, { verb: 'remove', member, source });
  return empty();
}

function leaving(instance: Instance, call: Call): Source {
  if (call.url.pathname.includes('/groups/')) {
    const group = findGroup(instance, call);
    return { kind: 'group', id: group.id, project: null, group };
  }
  const project = findProject(instance, call);
  return { kind: 'project', id: project.id, project, group: null };
}

function tell(instance: Instance, what: { verb: 'add' | 'update' | 'remove'; member: Member; source: Source }): void {
  const { verb, member, source } = what;
  const { project, group } = source;
  fireMemberEvent(instance, verb, { userId: member.userId, accessLevel: member.accessLevel, expiresAt: member.expiresAt, project, group });
}

/** Gives a whole group access. Nothing is sent about it. */
function addShare(instance: Instance, call: Call, source: Source) {
  const group = findGroup(instance, call, call.input.required('group_id'));
  const accessLevel = call.input.whole('group_access');
  if (accessLevel === undefined) throw invalidParameter('group_access is missing');
  const same = sharesTo(instance, source, group.id);
  if (same.length > 0) throw new ApiError(409, { message: 'group_id has already been taken' });
  const share = instance.state.shares.insert({ target: source.kind, targetId: source.id, groupId: group.id, accessLevel, expiresAt: expiryFrom(call) });
  if (source.kind === 'group') return json(showGroup(instance, source.group), 201);
  return json({ id: share.id, project_id: source.id, group_id: group.id, group_access: accessLevel, expires_at: share.expiresAt }, 201);
}

function removeShare(instance: Instance, call: Call, source: Source) {
  const [share] = sharesTo(instance, source, Number(call.path['group_id']));
  if (!share) throw notFound('Group Link');
  instance.state.shares.remove(share.id);
  return empty();
}

function sharesTo(instance: Instance, source: Source, groupId: number): Share[] {
  return instance.state.shares.all().filter((share) => share.target === source.kind && share.targetId === source.id && share.groupId === groupId);
}

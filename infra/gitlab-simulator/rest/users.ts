import { ApiError, json, notFound, unauthorized } from '../http/answer.ts';
import { offsetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import { fireUserEvent } from '../hooks/fire-system-events.ts';
import { createUser } from '../state/create-user.ts';
import { requireAdmin, requireUser } from './find.ts';
import { showOwnUser, showUser, showUserBasic } from './shapes.ts';

export function userRoutes(instance: Instance): Route[] {
  const anyScope = ['read_user', 'read_api', 'api'];
  return [
    { method: 'GET', pattern: '/version', scopes: anyScope, endpoint: (call) => showVersion(instance, call) },
    { method: 'GET', pattern: '/metadata', scopes: anyScope, endpoint: (call) => showMetadata(instance, call) },
    { method: 'GET', pattern: '/user', scopes: anyScope, endpoint: (call) => json(showOwnUser(instance, requireUser(call), requireUser(call).isAdmin)) },
    { method: 'GET', pattern: '/users', scopes: anyScope, endpoint: (call) => listUsers(instance, call) },
    { method: 'POST', pattern: '/users', endpoint: (call) => addUser(instance, call) },
    { method: 'GET', pattern: '/users/:id', scopes: anyScope, limit: 'users_get_by_id', endpoint: (call) => showOneUser(instance, call) },
    { method: 'POST', pattern: '/users/:id/block', endpoint: (call) => setState(instance, call, 'blocked') },
    { method: 'POST', pattern: '/users/:id/unblock', endpoint: (call) => setState(instance, call, 'active') },
    // Every token may look at itself, whatever its scopes.
    { method: 'GET', pattern: '/personal_access_tokens/self', scopes: ['api', 'read_api', 'read_user', 'read_repository', 'write_repository'], endpoint: showOwnToken },
  ];
}

function showVersion(instance: Instance, call: Call) {
  requireUser(call);
  return json({ version: instance.state.settings().version, revision: 'c0ffee00dea' });
}

function showMetadata(instance: Instance, call: Call) {
  requireUser(call);
  const { version } = instance.state.settings();
  return json({ version, revision: 'c0ffee00dea', kas: { enabled: false, externalUrl: null, externalK8sProxyUrl: null, version: null }, enterprise: version.includes('ee') });
}

function listUsers(instance: Instance, call: Call) {
  requireUser(call);
  const [username, search] = [call.input.text('username')?.toLowerCase(), call.input.text('search')?.toLowerCase()];
  const users = instance.state.users
    .all()
    .filter((user) => (username === undefined || user.username.toLowerCase() === username) && (search === undefined || `${user.username} ${user.name} ${user.email}`.toLowerCase().includes(search)))
    .sort((a, b) => b.id - a.id);
  return offsetPage(call, users, (user) => showUserBasic(instance, user));
}

function showOneUser(instance: Instance, call: Call) {
  const asker = requireUser(call);
  const user = instance.state.users.get(Number(call.path['id']));
  if (!user) throw notFound('User');
  return json(asker.isAdmin ? showOwnUser(instance, user, true) : showUser(instance, user));
}

function addUser(instance: Instance, call: Call) {
  requireAdmin(call);
  const { input } = call;
  const username = input.required('username');
  const email = input.required('email');
  if (instance.state.users.all().some((user) => user.username.toLowerCase() === username.toLowerCase() || user.email === email)) throw new ApiError(409, { message: 'Username has already been taken' });
  const user = createUser(instance, { username, email, name: input.required('name'), isAdmin: input.flag('admin') ?? false, isExternal: input.flag('external') ?? false });
  fireUserEvent(instance, 'user_create', user);
  return json(showOwnUser(instance, user, true), 201);
}

function setState(instance: Instance, call: Call, state: 'active' | 'blocked') {
  requireAdmin(call);
  const user = instance.state.users.get(Number(call.path['id']));
  if (!user) throw notFound('User');
  instance.state.users.put({ ...user, state });
  return json(true, 201);
}

function showOwnToken(call: Call) {
  const token = call.caller?.token;
  if (!token) throw unauthorized();
  if (token.kind === 'oauth') throw new ApiError(400, { message: '400 Bad request - This endpoint requires token type to be a personal access token' });
  return json({
    id: token.id,
    name: token.name,
    revoked: token.isRevoked,
    created_at: token.createdAt,
    description: null,
    scopes: token.scopes,
    user_id: token.userId,
    last_used_at: token.lastUsedAt,
    active: true,
    expires_at: token.expiresAt,
  });
}

import { randomBytes } from 'node:crypto';

import type { Instance } from '../instance.ts';
import type { Namespace, Token, TokenKind, User, Visibility } from './records.ts';

export interface NewUser {
  username: string;
  email?: string;
  name?: string;
  isAdmin?: boolean;
  isBot?: boolean;
  isExternal?: boolean;
}

export interface NewToken {
  name?: string;
  secret?: string;
  kind?: TokenKind;
  userId: number | null;
  scopes: string[];
  expiresAt?: string | null;
  username?: string;
  projectId?: number;
}

export interface NewGroup {
  name: string;
  path: string;
  parentId: number | null;
  visibility: Visibility;
  description: string;
}

/** A person comes with a namespace of his own; a bot has none. */
export function createUser(instance: Pick<Instance, 'state' | 'now'>, wanted: NewUser): User {
  const now = instance.now().toISOString();
  const user = instance.state.users.insert({
    username: wanted.username,
    name: wanted.name ?? wanted.username,
    email: wanted.email ?? `${wanted.username}@example.com`,
    publicEmail: null,
    state: 'active',
    isAdmin: wanted.isAdmin ?? false,
    isBot: wanted.isBot ?? false,
    isExternal: wanted.isExternal ?? false,
    createdAt: now,
  });
  if (user.isBot) return user;
  const { name, username } = user;
  instance.state.namespaces.insert({ kind: 'user', name, path: username, parentId: null, ownerId: user.id, description: '', visibility: 'public', createdAt: now, updatedAt: now });
  return user;
}

export function createToken(instance: Pick<Instance, 'state' | 'now'>, wanted: NewToken): Token {
  return instance.state.tokens.insert({
    kind: wanted.kind ?? 'personal',
    name: wanted.name ?? 'token',
    secret: wanted.secret ?? `glpat-${randomBytes(15).toString('base64url')}`,
    userId: wanted.userId,
    username: wanted.username ?? null,
    projectId: wanted.projectId ?? null,
    scopes: wanted.scopes,
    expiresAt: wanted.expiresAt ?? null,
    isRevoked: false,
    createdAt: instance.now().toISOString(),
    lastUsedAt: null,
  });
}

export function createGroup(instance: Pick<Instance, 'state' | 'now'>, wanted: NewGroup): Namespace {
  const now = instance.now().toISOString();
  return instance.state.namespaces.insert({ kind: 'group', ownerId: null, ...wanted, createdAt: now, updatedAt: now });
}

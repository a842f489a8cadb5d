import type { IncomingMessage } from 'node:http';

import type { Instance } from '../instance.ts';
import type { Caller } from '../state/access.ts';
import type { Token } from '../state/records.ts';
import { ApiError, forbidden, unauthorized } from './answer.ts';

/** Every scope that gives `read_api`'s rights has them too. */
const IMPLIED_BY_API = ['read_api', 'read_repository', 'write_repository', 'read_user'];

export function findToken(instance: Instance, secret: string): Token | undefined {
  return instance.state.tokens.by('secret', (token) => token.secret).get(secret)?.[0];
}

export function isExpired(instance: Instance, token: Token): boolean {
  if (token.expiresAt === null) return false;
  // A day, at whose beginning it ends; an OAuth token's is a moment.
  const now = instance.now().toISOString();
  return token.expiresAt.includes('T') ? now >= token.expiresAt : now.slice(0, 10) >= token.expiresAt;
}

export function hasScope(token: Token, wanted: string[]): boolean {
  if (token.scopes.some((scope) => wanted.includes(scope))) return true;
  return token.scopes.includes('api') && wanted.some((scope) => IMPLIED_BY_API.includes(scope));
}

/** Null for a request without a credential. A wrong, dead or unfit one is an error, also where nobody would do. */
export function authenticate(instance: Instance, request: IncomingMessage, scopes: string[]): Caller | null {
  const given = secretOf(request);
  if (given === null) return null;
  const token = findToken(instance, given.secret);
  if (!token || token.kind === 'deploy') throw unauthorized();
  // An OAuth token is one only as a Bearer.
  if (token.kind === 'oauth' && given.header === 'PRIVATE-TOKEN') throw unauthorized();
  if (token.isRevoked) throw invalidToken('Token was revoked. You have to re-authorize from the user.');
  if (isExpired(instance, token)) throw invalidToken('Token is expired. You can either do re-authorization or token refresh.');
  const user = token.userId === null ? undefined : instance.state.users.get(token.userId);
  if (!user) throw unauthorized();
  if (user.state === 'blocked') throw forbidden('Your account has been blocked.');
  if (!hasScope(token, scopes)) throw insufficientScope(scopes);
  return { token, user };
}

function secretOf(request: IncomingMessage): { header: string; secret: string } | null {
  const own = request.headers['private-token'];
  if (typeof own === 'string') return { header: 'PRIVATE-TOKEN', secret: own };
  const bearer = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '');
  return bearer ? { header: 'Authorization', secret: bearer[1] ?? '' } : null;
}

function invalidToken(description: string): ApiError {
  return new ApiError(401, { error: 'invalid_token', error_description: description });
}

function insufficientScope(scopes: string[]): ApiError {
  return new ApiError(403, {
    error: 'insufficient_scope',
    error_description: 'The request requires higher privileges than provided by the access token.',
    scope: scopes.join(' '),
  });
}

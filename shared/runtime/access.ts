import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { RequestHandler, Response } from 'express';
import type { TokenScope } from '#schemas/api/identity.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { Problem } from './problem.ts';

/** By what they showed who they are. */
export type Credential =
  | { readonly kind: 'engine-token' }
  /** Without an end: for as long as the sign-in stands. */
  | { readonly kind: 'session'; readonly id: string; readonly expiresAt: Date | undefined }
  | { readonly kind: 'personal-token'; readonly id: string };

/** Who asks, and what they are here. */
export interface Principal {
  readonly actor: Actor;
  readonly isSystemAdmin: boolean;
  /** What they may use it for, whatever they are. */
  readonly scope: TokenScope;
  readonly credential: Credential;
}

/** Tells who asks; undefined for nobody we know. @throws Unavailable while what would tell is away */
export interface Access {
  /** By the bearer token given. */
  principalOf(token: string): Promise<Principal | undefined>;
  /** By a ticket for one WebSocket, which is good once. */
  redeem(ticket: string): Promise<Principal | undefined>;
  /** Who they are now; undefined when what they showed is not good any more. For what stays open. */
  recheck(principal: Pick<Principal, 'credential'>): Promise<Principal | undefined>;
}

/** The file in the folder of keys that holds the first access token. */
export const TOKEN_FILE = 'access-token';

/** Reads the first access token, making it (256 random bits, mode 0600) at first start. */
export function loadOrCreateToken(keysDir: string): string {
  mkdirSync(keysDir, { recursive: true });
  const file = path.join(keysDir, TOKEN_FILE);
  if (!existsSync(file)) {
    // Written whole, then named: a crash between leaves no empty token that would lock everybody out.
    const whole = `${file}.${randomBytes(6).toString('hex')}`;
    const made = openSync(whole, 'wx', 0o600);
    writeSync(made, `tekai_${randomBytes(32).toString('base64url')}\n`);
    fsyncSync(made);
    closeSync(made);
    try {
      linkSync(whole, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    unlinkSync(whole);
  }
  return readFileSync(file, 'utf8').trim();
}

/** The engine's own token: whoever can read the state folder is a system admin, whatever else is away. */
export function createTokenAccess(token: string): Access {
  const known = digest(token);
  const principal: Principal = { actor: { kind: 'token', id: 'first-token' }, isSystemAdmin: true, scope: 'admin', credential: { kind: 'engine-token' } };
  return {
    principalOf: async (given) => (timingSafeEqual(digest(given), known) ? principal : undefined),
    redeem: async () => undefined,
    recheck: async ({ credential }) => (credential.kind === 'engine-token' ? principal : undefined),
  };
}

/** Equal lengths whatever is given, so that nothing is told by time. */
const digest = (text: string) => createHash('sha256').update(text).digest();

/** `Authorization: Bearer …` of a request; undefined when there is none. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1];
}

/** Who asks, by a request's header. */
export async function callerOf(access: Access, authorization: string | undefined): Promise<Principal | undefined> {
  const token = bearerOf(authorization);
  return token === undefined ? undefined : access.principalOf(token);
}

/** Who asks for a socket, by its first frame: a token, or a ticket. */
export const socketCallerOf = async (access: Access, token: string) => await access.principalOf(token) ?? access.redeem(token);

/** Finds out who asks, once for all handlers behind it, and refuses nobody. */
export function identify(access: Access): RequestHandler {
  return async (request, response, next) => {
    response.locals['principal'] = await callerOf(access, request.headers.authorization);
    next();
  };
}

/** Who asks, as `identify` has found. */
export const principalOf = (response: Response) => response.locals['principal'] as Principal | undefined;

/** @throws Problem 401 */
export function mustBeKnown(response: Response): Principal {
  const principal = principalOf(response);
  if (principal === undefined) throw new Problem(401, 'not-authenticated', `Send "Authorization: Bearer <token>". The first token lies in the engine's state folder, in the file ${TOKEN_FILE}.`);
  return principal;
}

/** Lets through who is known: what a service serves is never open, whatever stands before it. */
export function requireAccess(access: Access): RequestHandler {
  return (request, response, next) => {
    // Mostly `identify` has found out, and nothing is waited for.
    if (principalOf(response) !== undefined) { next(); return undefined; }
    return callerOf(access, request.headers.authorization).then((found) => {
      response.locals['principal'] = found;
      mustBeKnown(response);
      next();
    });
  };
}

/** @throws Problem 401 */
export const actorOf = (response: Response): Actor => mustBeKnown(response).actor;

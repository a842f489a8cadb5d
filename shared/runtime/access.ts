import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { RequestHandler } from 'express';
import type { Actor } from '#schemas/events/fact.ts';
import { Problem } from './problem.ts';

/** Who asks, by the bearer token given; undefined for nobody we know. */
export interface Access { actorOf(token: string): Actor | undefined }

/** The file in the state folder that holds the first access token. */
export const TOKEN_FILE = 'access-token';

/** Reads the first access token, making it (256 random bits, mode 0600) at first start. */
export function loadOrCreateToken(stateDir: string): string {
  mkdirSync(stateDir, { recursive: true });
  const file = path.join(stateDir, TOKEN_FILE);
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

export function createTokenAccess(token: string): Access {
  const known = digest(token);
  return { actorOf: (given) => (timingSafeEqual(digest(given), known) ? { kind: 'token', id: 'first-token' } : undefined) };
}

/** Equal lengths whatever is given, so that nothing is told by time. */
const digest = (text: string) => createHash('sha256').update(text).digest();

/** `Authorization: Bearer …` of a request; undefined when there is none. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +([\x21-\x7e]+)$/i.exec(header ?? '')?.[1];
}

/** Lets through who is known, and remembers them in `response.locals.actor`. */
export function requireAccess(access: Access): RequestHandler {
  return (request, response, next) => {
    const token = bearerOf(request.headers.authorization);
    const actor = token === undefined ? undefined : access.actorOf(token);
    if (actor === undefined) throw new Problem(401, 'not-authenticated', `Send "Authorization: Bearer <token>". The first token lies in the engine's state folder, in the file ${TOKEN_FILE}.`);
    response.locals['actor'] = actor;
    next();
  };
}

import { createHash, randomBytes } from 'node:crypto';

/** What a token is for, by its first letters: scanners find leaked ones, and nobody takes one for another. */
export const PREFIXES = { personal: 'tekai_pat_', refresh: 'tekai_rt_', ticket: 'tekai_wst_', signIn: 'tekai_sih_', state: 'tekai_sis_' } as const;
export type OpaqueKind = keyof typeof PREFIXES;

const FORM = /^[A-Za-z0-9_-]{43}$/;

/** 256 random bits. Only `hash` is kept. */
export function makeOpaqueToken(kind: OpaqueKind): { readonly token: string; readonly hash: Buffer } {
  const token = `${PREFIXES[kind]}${randomBytes(32).toString('base64url')}`;
  return { token, hash: hashOf(token) };
}

/** Undefined: it is none of that kind. Looked up by its hash: no comparison of secrets tells anything by its time. */
export function hashOfOpaque(kind: OpaqueKind, token: string): Buffer | undefined {
  const prefix = PREFIXES[kind];
  return token.startsWith(prefix) && FORM.test(token.slice(prefix.length)) ? hashOf(token) : undefined;
}

const hashOf = (token: string) => createHash('sha256').update(token).digest();

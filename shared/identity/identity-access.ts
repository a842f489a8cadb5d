import type { JSONWebKeySet } from 'jose';
import type { Access, Principal } from '#shared/runtime/access.ts';
import { ownerOfAccessToken, verifyAccessToken } from './access-token.ts';
import type { KnownCallers, KnownSession, KnownToken, KnownUser } from './known-callers.ts';
import { hashOfOpaque } from './opaque-token.ts';

/** So long somebody may go on after they were told off: I7 allows 5 s. */
const REMEMBERED_MS = 2_000;
/** Of each kind, some 200 bytes each. Whoever has more callers within two seconds asks the database more often. */
const REMEMBERED_MAX = 10_000;
/** Keys are told a month before they sign: who comes with a name that we do not know has made it up, or we are very late. */
const KEYS_REMEMBERED_MS = 60_000;
const KEYS_ASKED_AGAIN_MS = 5_000;

export interface IdentityAccessDeps {
  /** The engine's own token, which hangs on nothing. */
  readonly engine: Access;
  readonly callers: KnownCallers;
  /** That wrote itself into access tokens. */
  readonly issuer: string;
  now(): Date;
}

/** Also of who does not ask now: a follower reads for somebody. Undefined of who is disabled, or not there. */
export interface IdentityAccess extends Access {
  user(userId: string): Promise<KnownUser | undefined>;
  /** Whose a token was that is good no longer: to write down who was refused, and for nothing else. */
  ownerOf(token: string): Promise<string | undefined>;
}

/** Who asks: by the engine's own token, a sign-in, or a personal token; each looked up again and again, so that what was revoked ends. */
export function createIdentityAccess({ engine, callers, issuer, now }: IdentityAccessDeps): IdentityAccess {
  const sessions = remembering(now, (id) => callers.session(id));
  const tokens = remembering(now, (hash) => callers.token(Buffer.from(hash, 'hex')));
  const tokensById = remembering(now, (id) => callers.tokenById(id));
  const users = remembering(now, (id) => callers.user(id));
  const keysFor = rememberingKeys(now, callers);

  return {
    user: users,
    async ownerOf(given) {
      const hash = hashOfOpaque('personal', given);
      if (hash !== undefined) return callers.ownerOfToken(hash);
      return given.split('.').length === 3 ? ownerOfAccessToken(given, { issuer, keys: await keysFor(false) }) : undefined;
    },
    async principalOf(given) {
      const own = await engine.principalOf(given);
      if (own !== undefined) return own;
      const hash = hashOfOpaque('personal', given);
      if (hash !== undefined) return ofToken(await tokens(hash.toString('hex')));
      return given.split('.').length === 3 ? bySignIn(given) : undefined;
    },
    async redeem(given) {
      const hash = hashOfOpaque('ticket', given);
      return hash === undefined ? undefined : ofSession(await callers.redeem(hash), undefined);
    },
    async recheck({ credential }) {
      switch (credential.kind) {
        case 'engine-token': return engine.recheck({ credential });
        case 'session': return credential.expiresAt !== undefined && credential.expiresAt <= now() ? undefined : ofSession(await sessions(credential.id), credential.expiresAt);
        case 'personal-token': return ofToken(await tokensById(credential.id));
        default: return credential satisfies never;
      }
    },
  };

  async function bySignIn(token: string): Promise<Principal | undefined> {
    for (const isAgain of [false, true]) {
      const verdict = await verifyAccessToken(token, { issuer, keys: await keysFor(isAgain), now: now() });
      if (verdict.kind === 'refused') return undefined;
      if (verdict.kind === 'unknownKey') continue;
      const { userId, sessionId, expiresAt } = verdict.claims;
      const session = await sessions(sessionId);
      return session?.userId === userId ? ofSession(session, expiresAt) : undefined;
    }
    return undefined;
  }
}

function ofSession(session: KnownSession | undefined, expiresAt: Date | undefined): Principal | undefined {
  if (session === undefined) return undefined;
  const { userId, isSystemAdmin, sessionId } = session;
  return { actor: { kind: 'user', id: userId }, isSystemAdmin, scope: 'admin', credential: { kind: 'session', id: sessionId, expiresAt } };
}

function ofToken(token: KnownToken | undefined): Principal | undefined {
  if (token === undefined) return undefined;
  const { userId, isSystemAdmin, scope, tokenId } = token;
  return { actor: { kind: 'user', id: userId }, isSystemAdmin, scope, credential: { kind: 'personal-token', id: tokenId } };
}

/** Asks once for all who ask within a moment. What could not be told is not remembered. */
function remembering<T>(now: () => Date, ask: (id: string) => Promise<T>): (id: string) => Promise<T> {
  const known = new Map<string, { readonly until: number; readonly answer: Promise<T> }>();
  return (id) => {
    const at = now().getTime();
    const found = known.get(id);
    if (found !== undefined && found.until > at && found.until <= at + REMEMBERED_MS) return found.answer;
    if (known.size >= REMEMBERED_MAX) known.clear();
    const answer = ask(id);
    known.set(id, { until: at + REMEMBERED_MS, answer });
    answer.catch(() => known.delete(id));
    return answer;
  };
}

function rememberingKeys(now: () => Date, callers: Pick<KnownCallers, 'keys'>): (isAgain: boolean) => Promise<JSONWebKeySet> {
  let known: { readonly at: number; readonly keys: JSONWebKeySet } | undefined;
  return async (isAgain) => {
    const age = known === undefined ? Infinity : Math.abs(now().getTime() - known.at);
    if (known === undefined || age > (isAgain ? KEYS_ASKED_AGAIN_MS : KEYS_REMEMBERED_MS)) known = { at: now().getTime(), keys: await callers.keys() };
    return known.keys;
  };
}

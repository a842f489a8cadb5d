import { createLocalJWKSet, decodeJwt, errors, jwtVerify, SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose';

/** Who signed in, by which sign-in. Signed and readable: nothing in it is a secret. */
export interface AccessClaims { readonly userId: string; readonly sessionId: string }

export interface VerifiedClaims extends AccessClaims { readonly expiresAt: Date }

/** ASVS and RFC 8725: what a stolen one is good for at most, where nobody revokes the sign-in. */
export const ACCESS_TOKEN_SECONDS = 600;
const AUDIENCE = 'tekai-api';
const TYPE = 'at+jwt';
/** Clocks of our own processes differ by less. */
const SKEW_SECONDS = 5;

export interface Issuing { readonly issuer: string; readonly kid: string; readonly privateKey: CryptoKey; readonly now: Date; readonly tokenId: string }

export function signAccessToken({ userId, sessionId }: AccessClaims, { issuer, kid, privateKey, now, tokenId }: Issuing): Promise<string> {
  const iat = Math.floor(now.getTime() / 1_000);
  return new SignJWT({ sid: sessionId }).setProtectedHeader({ alg: 'EdDSA', kid, typ: TYPE })
    .setSubject(userId).setIssuer(issuer).setAudience(AUDIENCE).setIssuedAt(iat).setExpirationTime(iat + ACCESS_TOKEN_SECONDS).setJti(tokenId).sign(privateKey);
}

/** `unknownKey`: no key of that name is known, which a newer list may know. */
export type Verdict = { readonly kind: 'ok'; readonly claims: VerifiedClaims } | { readonly kind: 'refused' } | { readonly kind: 'unknownKey' };

/** One algorithm, one audience, one type, keys from our own list by their name only: whatever the token itself says of them. */
export async function verifyAccessToken(token: string, { issuer, keys, now }: { readonly issuer: string; readonly keys: JSONWebKeySet; readonly now: Date }): Promise<Verdict> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
      algorithms: ['EdDSA'], audience: AUDIENCE, issuer, typ: TYPE, currentDate: now, clockTolerance: SKEW_SECONDS,
      maxTokenAge: ACCESS_TOKEN_SECONDS, requiredClaims: ['sub', 'sid', 'iat', 'exp', 'jti'],
    });
    const { sub, sid, exp } = payload;
    // Without a name a list of one key would do for it.
    if (protectedHeader.kid === undefined || typeof sub !== 'string' || typeof sid !== 'string' || exp === undefined) return { kind: 'refused' };
    return { kind: 'ok', claims: { userId: sub, sessionId: sid, expiresAt: new Date(exp * 1_000) } };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return { kind: 'unknownKey' };
    if (error instanceof errors.JOSEError || error instanceof TypeError) return { kind: 'refused' };
    throw error;
  }
}

/** Of a token that we signed, good or not any more: whose it was. */
export async function ownerOfAccessToken(token: string, { issuer, keys }: { readonly issuer: string; readonly keys: JSONWebKeySet }): Promise<string | undefined> {
  try {
    // As of when it was made: what is not ours is refused all the same.
    const verdict = await verifyAccessToken(token, { issuer, keys, now: new Date((decodeJwt(token).iat ?? 0) * 1_000) });
    return verdict.kind === 'ok' ? verdict.claims.userId : undefined;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

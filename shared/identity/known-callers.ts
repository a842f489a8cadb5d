import type { JSONWebKeySet } from 'jose';
import type { TokenScope } from '#schemas/api/identity.ts';

export interface KnownUser { readonly userId: string; readonly isSystemAdmin: boolean }
export interface KnownSession extends KnownUser { readonly sessionId: string }
export interface KnownToken extends KnownUser { readonly tokenId: string; readonly scope: TokenScope }

/**
 * What identity's tables say of who asks, as of now: nobody who is disabled, nothing that is revoked or over.
 * @throws Unavailable
 */
export interface KnownCallers {
  /** Public keys that a token may be signed with. */
  keys(): Promise<JSONWebKeySet>;
  /** By id, or else by the name they sign in by. */
  user(idOrName: string): Promise<KnownUser | undefined>;
  /** Of those that are there; disabled ones too. */
  names(userIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  session(sessionId: string): Promise<KnownSession | undefined>;
  /** Notes that it was used. */
  token(hash: Buffer): Promise<KnownToken | undefined>;
  tokenById(tokenId: string): Promise<KnownToken | undefined>;
  /** Whose it was, good or not any more. */
  ownerOfToken(hash: Buffer): Promise<string | undefined>;
  /** Good once. */
  redeem(ticketHash: Buffer): Promise<KnownSession | undefined>;
}

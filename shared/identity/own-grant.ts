import type { SourceId } from '#schemas/brand.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';

/** What a person has let us see of theirs in a GitLab, by the row that says so. */
export interface OwnGrant { readonly grantId: string; readonly sourceId: SourceId; readonly userId: string }

interface KeptTokens { readonly accessToken: string; readonly refreshToken: string }

const nameOf = ({ sourceId, userId, grantId }: OwnGrant) => `grant/${sourceId}/${userId}/${grantId}`;

/** The tokens of a grant; undefined when they are forgotten. @throws Unavailable | SecretUnreadable */
export async function grantedTokens(vault: Pick<SecretVault, 'get'>, grant: OwnGrant): Promise<KeptTokens | undefined> {
  const kept = await vault.get(nameOf(grant));
  return kept === undefined ? undefined : JSON.parse(kept) as KeptTokens;
}

export const putGrantedTokens = (vault: Pick<SecretVault, 'put'>, grant: OwnGrant, { accessToken, refreshToken }: KeptTokens): Promise<void> => vault.put(nameOf(grant), JSON.stringify({ accessToken, refreshToken }));

export const forgetGrantedTokens = (vault: Pick<SecretVault, 'delete'>, grant: OwnGrant): Promise<void> => vault.delete(nameOf(grant));

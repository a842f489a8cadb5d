import type { SourceId } from '#schemas/brand.ts';

export type SourceSecret = 'gitlab-token' | 'proxy-url' | 'client-key' | 'webhook-token' | 'signing-token' | 'sign-in-secret';

/** Its name in the vault. @param revision of the fact that it was changed by; null of what the source was registered with */
export const sourceSecret = (source: SourceId, what: SourceSecret, revision: number | null = null) => `source/${source}/${what}${revision === null ? '' : `-${revision}`}`;

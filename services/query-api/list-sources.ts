import type { SourceAnswer } from '#schemas/api/sources.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';

/** The sources, with what GitLab said of their tokens when it was last asked. */
export async function listSources({ store, checks }: { readonly store: Pick<ReadStore, 'sources'>; readonly checks: Pick<SourceChecks, 'kept'> }): Promise<SourceAnswer[]> {
  const [sources, kept] = await Promise.all([store.sources(), checks.kept()]);
  return sources.map((source) => {
    const found = kept.get(source.id);
    if (found === undefined) return { ...source, token: null, check: { state: 'unknown' } };
    const { lastFour, kind, scopes, expiresAt, checkedAt, state } = found;
    return { ...source, token: { lastFour, kind, scopes: scopes === null ? null : [...scopes], expiresAt, checkedAt }, check: { state } };
  });
}

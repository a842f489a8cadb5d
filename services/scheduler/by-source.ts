import type { SourceId } from '#schemas/brand.ts';

/** Codebases, or what is known of them, by the source they are of. */
export function bySource<T extends { readonly sourceId: SourceId }>(codebases: Iterable<T>): ReadonlyMap<SourceId, readonly T[]> {
  const all = new Map<SourceId, T[]>();
  for (const one of codebases) {
    const those = all.get(one.sourceId);
    if (those === undefined) all.set(one.sourceId, [one]);
    else those.push(one);
  }
  return all;
}

/** What `step` makes of each item, in order, with at most `atOnce` under way. The first error ends it. */
export async function mapBounded<T, R>(items: readonly T[], atOnce: number, step: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await step(items[at] as T);
  }));
  return results;
}

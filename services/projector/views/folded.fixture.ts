import type { Fact } from '#schemas/events/facts.ts';
import type { Row, View } from '../view.ts';

/** The table that a view makes of these facts, without a database: rows in the order in which they came to be. */
export function folded<R extends Row>(view: View<R>, facts: readonly Fact[]): R[] {
  const rows = new Map<string, R>();
  for (const fact of facts) {
    for (const key of view.keysOf(fact)) {
      const name = JSON.stringify(key);
      const after = view.fold(rows.get(name), fact, key);
      if (after === undefined) continue;
      // A fold that answers with another row than it was asked for would write over a neighbour.
      expect(view.key.map((column) => after[column])).toEqual(key);
      rows.set(name, after);
    }
  }
  return [...rows.values()];
}

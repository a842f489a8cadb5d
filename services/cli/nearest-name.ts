/** A slip of the fingers, not another word. */
const SLIPS_MAX = 0.4;

/** The name that was probably meant; undefined when none is near. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const ranked = names.map((name) => ({ name, slips: slipsBetween(given.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.slips - b.slips);
  const best = ranked[0];
  return best !== undefined && best.slips <= Math.max(given.length, best.name.length) * SLIPS_MAX ? best.name : undefined;
}

/** Levenshtein's distance. */
function slipsBetween(left: string, right: string): number {
  let before = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const swap = (before[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      row.push(Math.min(swap, (before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    before = row;
  }
  return before[right.length] ?? 0;
}

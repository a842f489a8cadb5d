/** A slip of the fingers, not another word. */
const SLIPS_MAX = 0.4;

/** The name that was probably meant; undefined when none is near. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const ranked = names.map((name) => ({ name, slips: slipsBetween(given.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.slips - b.slips);
  const best = ranked[0];
  return best !== undefined && best.slips <= Math.max(given.length, best.name.length) * SLIPS_MAX ? best.name : undefined;
}

/** Letters too many, missing, wrong, or in the wrong order with their neighbour. */
function slipsBetween(left: string, right: string): number {
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, index) => index)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= left.length; i += 1) {
    rows.push([i]);
    for (let j = 1; j <= right.length; j += 1) {
      const wrong = at(i - 1, j - 1) + (left[i - 1] === right[j - 1] ? 0 : 1);
      const isTurned = left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      rows[i]?.push(Math.min(wrong, at(i - 1, j) + 1, at(i, j - 1) + 1, isTurned ? at(i - 2, j - 2) + 1 : Infinity));
    }
  }
  return at(left.length, right.length);
}

export function quantile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0;
}

export const median = (values: readonly number[]) => quantile(values, 0.5);

/** Of milliseconds. */
export function shownTimes(values: readonly number[]): string {
  return [0.5, 0.95, 0.99].map((part) => `p${part * 100} ${shown(quantile(values, part))}`).join(', ') + ' ms';
}

const shown = (ms: number) => (ms < 100 ? ms.toFixed(1) : String(Math.round(ms)));

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Names come from repositories of others: what would move the cursor, end the line or turn the text around is shown, not done. */
export function printable(text: string): string {
  return text.replace(CONTROLS, (character) => ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Columns under headings, as wide as they need to be; the last one may be of any width. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows.map((row) => row.map(printable))];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  return all.map((row) => row.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  ').trimEnd()).join('\n') + '\n';
}

const pad = (cell: string, width: number) => cell + ' '.repeat(Math.max(0, width - [...cell].length));

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `812 B`, `1.4 MB`. */
export function bytesInWords(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1_000; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

/** `3 s ago`, `5 min ago`, `2 h ago`, `9 days ago`. */
export function ageInWords(time: string | null, now: Date): string {
  if (time === null) return 'never';
  const seconds = Math.max(0, (now.getTime() - Date.parse(time)) / 1_000);
  if (seconds < 100) return `${Math.round(seconds)} s ago`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

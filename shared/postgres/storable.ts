/** Postgres keeps no NUL and no half of a surrogate pair; JSON does. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** Of a value that is kept as JSON, however deep: there they hide in escapes. */
export function isStorableJson(value: unknown): boolean {
  if (typeof value === 'string') return isStorable(value);
  return typeof value !== 'object' || value === null || Object.entries(value).every(([name, one]) => isStorable(name) && isStorableJson(one));
}

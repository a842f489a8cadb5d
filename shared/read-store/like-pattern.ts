/** `*` of a ref's pattern is LIKE's `%`; what LIKE would take for signs of its own stands for itself. */
export const likeOf = (pattern: string) => pattern.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');

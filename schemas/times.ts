/** A time with its zone, in UTC with milliseconds, as facts hold it: so they compare as text. Undefined when it is none. */
export function parseTime(text: string): string | undefined {
  const time = /^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/.test(text) ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

import type { Request } from 'express';
import { codebaseId, type Position } from '#schemas/brand.ts';
import { positionInside } from '#schemas/positions.ts';
import { parseTime } from '#schemas/times.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';

// What an address asks for behind its question mark.

/** A page of a listing. */
const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1_000;

/** Values of a parameter that may be given several times, or as one list with commas. */
export function textsOf(request: Request, name: string): readonly string[] | undefined {
  const given = request.query[name];
  const values = (Array.isArray(given) ? given : [given]).flatMap((one) => (typeof one === 'string' ? one.split(',') : [])).filter((one) => one !== '');
  if (values.length > VALUES_MAX) throw new Problem(400, 'given-too-often', `${name}= may have ${VALUES_MAX} values.`);
  return values.length === 0 ? undefined : values;
}

/** More than there are kinds of facts. */
const VALUES_MAX = 50;

export function limitOf(request: Request, fallback = LIMIT_DEFAULT): number {
  const value = textOf(request, 'limit');
  if (value === undefined) return fallback;
  if (!/^\d{1,6}$/.test(value) || Number(value) < 1) throw new Problem(400, 'page-malformed', `limit= takes a whole number from 1 to ${LIMIT_MAX}.`);
  return Math.min(LIMIT_MAX, Number(value));
}

export function timeOf(request: Request, name: string): string | undefined {
  const text = textOf(request, name);
  const time = text === undefined ? undefined : parseTime(text);
  if (text !== undefined && time === undefined) throw new Problem(400, 'time-malformed', `${name}= takes a time with its zone, such as 2026-01-31T12:00:00Z.`);
  return time;
}

/** @throws Problem 400 when it is no position; 410 when it is one of another log. */
export function insideOrThrow(epoch: string, text: string): Position {
  const inside = positionInside(epoch, text);
  if (inside.kind === 'ok') return inside.position;
  if (inside.kind === 'otherEpoch') throw new Problem(410, 'position-of-another-log', 'This position is of a log that was rebuilt or moved since. Begin again without it.');
  throw new Problem(400, 'position-malformed', 'This is no position as answers give them.');
}

/** An id, a UUID; undefined when it is not given. @throws Problem 400 */
export function idOf<Id extends string>(request: Request, name: string): Id | undefined {
  const text = textOf(request, name);
  if (text === undefined) return undefined;
  const id = codebaseId.safeParse(text.toLowerCase());
  if (!id.success) throw new Problem(400, 'filter-malformed', `${name}= takes an id, a UUID.`);
  return id.data as string as Id;
}

/** Only what was given: for filters whose fields may be absent, not undefined. */
export function onlyGiven<T extends object>(filter: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

import type { Request } from 'express';
import { Problem } from './problem.ts';

/** One value of a parameter; undefined when it is not given or empty. @throws Problem 400 when it is given twice. */
export function textOf(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw new Problem(400, 'given-twice', `${name}= may be given once.`);
  return value;
}

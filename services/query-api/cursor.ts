import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { Problem } from '#shared/runtime/problem.ts';
import { textOf } from '#shared/runtime/query-text.ts';

/** An answer's page and where the next one begins. */
export interface Page<Item> { readonly items: readonly Item[]; readonly next: string | null }

/** What a cursor is made of: the last thing shown. `epoch` where that is a place in the log. */
export interface Place { readonly last: readonly string[]; readonly epoch?: string }

const cursorParts = z.tuple([z.literal(1), z.string(), z.string().nullable(), z.array(z.string().max(2_000)).min(1).max(3)]);

/**
 * The place that `after=` names in the list that this address is, with these filters; undefined for the first page.
 * @throws Problem 400 when it is no cursor of ours, or one of another list or of other filters; 410 when the log was rebuilt since.
 */
export function placeAfter(request: Request, { epoch, values }: { epoch?: string; values: number }): readonly string[] | undefined {
  const text = textOf(request, 'after');
  if (text === undefined) return undefined;
  const parts = cursorParts.safeParse(decoded(text));
  if (!parts.success || parts.data[3].length !== values) throw new Problem(400, 'cursor-malformed', 'after= takes a cursor from the "next" of an answer, as it is. Begin again without it.');
  const [, question, of, last] = parts.data;
  if (question !== questionOf(request.originalUrl)) throw new Problem(400, 'cursor-of-another-question', 'This cursor is of another list, or of other filters. Follow "next" as it is, or begin again without after=.');
  if (epoch !== undefined && of !== short(epoch)) throw new Problem(410, 'cursor-of-another-log', 'This cursor is of a log that was rebuilt or moved since. Begin again without after=.');
  return last;
}

/** Looks one further than the page: `next` is there only when there is more. Sets `Link` too. */
export function pageOf<Item>(request: Request, response: Response, { found, limit, placeOf }: { found: readonly Item[]; limit: number; placeOf(item: Item): Place }): Page<Item> {
  const items = found.slice(0, limit);
  const last = found.length > limit ? items.at(-1) : undefined;
  if (last === undefined) return { items, next: null };
  const next = addressOf(request, { after: cursorOf(request.originalUrl, placeOf(last)), limit: String(limit) });
  linkNext(response, next);
  return { items, next };
}

export function linkNext(response: Response, next: string): void {
  response.setHeader('Link', `<${next}>; rel="next"`);
}

/** This address with some of its parameters changed; what says how long to wait is not repeated. */
export function addressOf(request: Request, change: Readonly<Record<string, string>>): string {
  const url = new URL(request.originalUrl, 'http://here');
  for (const name of ['atLeast', 'wait']) url.searchParams.delete(name);
  for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
  return `${url.pathname}${url.search}`;
}

/** For the list at this address, with its filters. */
export function cursorOf(address: string, { last, epoch }: Place): string {
  return Buffer.from(JSON.stringify([1, questionOf(address), epoch === undefined ? null : short(epoch), last])).toString('base64url');
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Of paging and of waiting: they change which part is shown, not what is asked. */
const NOT_ASKED = new Set(['after', 'limit', 'atLeast', 'wait']);

function questionOf(address: string): string {
  const { pathname, searchParams } = new URL(address, 'http://here');
  const asked = [...searchParams].filter(([name, value]) => !NOT_ASKED.has(name) && value !== '').sort(([left], [right]) => (left < right ? -1 : Number(left > right)));
  return createHash('sha256').update(JSON.stringify([pathname.toLowerCase().replace(/\/+$/, ''), asked])).digest('base64url').slice(0, 11);
}

const short = (epoch: string) => createHash('sha256').update(epoch).digest('hex').slice(0, 8);

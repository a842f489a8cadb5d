import type { RequesterType } from '@gitbeaker/requester-utils';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { LINK_HEADER } from './gitbeaker-requester.ts';

/** GitLab's largest page. */
export const PER_PAGE = 100;
/** A million entries. A list without an end is a fault, not a list. */
const PAGES_MAX = 10_000;

export interface PagedList {
  readonly dependency: string;
  readonly requester: RequesterType;
  readonly endpoint: string;
  readonly query: Readonly<Record<string, string>>;
}

/**
 * All entries of a list, page by page. Of `Link: <…>; rel="next"` the query string only: GitLab builds the host from its
 * own settings, which need not be where we reach it (gitlab.md 3.4). @throws Unavailable rather than give a part (I8).
 */
export async function* entriesOf(list: PagedList): AsyncGenerator<unknown> {
  let query: Record<string, string> = { ...list.query, per_page: String(PER_PAGE) };
  const seen = new Set<string>();
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const asked = new URLSearchParams(query).toString();
    if (seen.has(asked)) throw new Unavailable(list.dependency, `the pages of ${list.endpoint} go round in a circle`);
    seen.add(asked);

    const { body, headers } = await list.requester.get(list.endpoint, { searchParams: query });
    if (!Array.isArray(body)) throw new Unavailable(list.dependency, `${list.endpoint} is not a JSON list`);
    yield* body;

    const next = nextQuery(headers);
    if (next !== undefined) query = next;
    else if (body.length < PER_PAGE) return;
    // Full, and no word of a next page: the end by chance, or a proxy that drops Link. Asking for page n + 1 tells.
    else query = { ...list.query, pagination: 'legacy', per_page: String(PER_PAGE), page: String(page + 1) };
  }
  throw new Unavailable(list.dependency, `${list.endpoint} has more than ${PAGES_MAX} pages`);
}

/** The query of the page after this one, as its Link names it. */
export function nextQuery(headers: Record<string, string>): Record<string, string> | undefined {
  for (const link of (headers[LINK_HEADER] ?? '').split(/,\s*(?=<)/)) {
    const target = /^<([^>]*)>\s*;.*\brel="?next"?/i.exec(link.trim())?.[1];
    if (target !== undefined) return Object.fromEntries(new URL(target, 'http://unused').searchParams);
  }
  return undefined;
}

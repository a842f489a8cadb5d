import { ApiError, invalidParameter, json, type Answer, type Headers } from './answer.ts';
import type { Call } from './router.ts';

const PER_PAGE_AT_FIRST = 20;
const PER_PAGE_MAX = 100;
const OFFSET_MAX = 50_000;
/** Above it GitLab leaves the totals out: counting costs its database too much. */
const TOTAL_SHOWN_MAX = 10_000;

export interface Page {
  page: number;
  perPage: number;
}

export function readPage(call: Call): Page {
  const page = call.input.whole('page') ?? 1;
  const perPage = call.input.whole('per_page') ?? PER_PAGE_AT_FIRST;
  if (page < 1) throw invalidParameter('page does not have a valid value');
  if (perPage < 1) throw invalidParameter('per_page does not have a valid value');
  return { page, perPage: Math.min(perPage, PER_PAGE_MAX) };
}

export function isKeyset(call: Call): boolean {
  return call.input.text('pagination') === 'keyset';
}

/** One page of a whole list by offset, with X-* headers and Link. `type` is named where GitLab bounds the offset. */
export function offsetPage<T>(call: Call, all: T[], show: (item: T) => unknown, type?: 'Project' | 'Group'): Answer {
  const { page, perPage } = readPage(call);
  const skipped = (page - 1) * perPage;
  if (type !== undefined && skipped >= OFFSET_MAX) throw offsetTooFar(type);
  const shown = all.slice(skipped, skipped + perPage);
  return json(shown.map(show), 200, offsetHeaders(call, { page, perPage }, { total: all.length, hasMore: skipped + perPage < all.length }));
}

export function offsetTooFar(type: string): ApiError {
  return new ApiError(405, {
    error: `Offset pagination has a maximum allowed offset of ${OFFSET_MAX} for requests that return objects of type ${type}. Remaining records can be retrieved using keyset pagination.`,
  });
}

/** `total` null: GitLab does not know it (commits) or does not say it (above 10,000). */
export function offsetHeaders(call: Call, at: Page, known: { total: number | null; hasMore: boolean }): Headers {
  const total = known.total !== null && known.total <= TOTAL_SHOWN_MAX ? known.total : null;
  const lastPage = total === null ? null : Math.max(1, Math.ceil(total / at.perPage));
  const next = known.hasMore ? at.page + 1 : null;
  const previous = at.page > 1 ? at.page - 1 : null;
  const pageUrl = (page: number): string => linkTo(call, { page: String(page), per_page: String(at.perPage) });
  const links = [
    previous === null ? '' : `<${pageUrl(previous)}>; rel="prev"`,
    next === null ? '' : `<${pageUrl(next)}>; rel="next"`,
    `<${pageUrl(1)}>; rel="first"`,
    lastPage === null ? '' : `<${pageUrl(lastPage)}>; rel="last"`,
  ];
  return {
    'X-Page': at.page,
    'X-Per-Page': at.perPage,
    'X-Next-Page': next === null ? '' : String(next),
    'X-Prev-Page': previous === null ? '' : String(previous),
    ...(total === null ? {} : { 'X-Total': total, 'X-Total-Pages': lastPage ?? 1 }),
    Link: links.filter((link) => link !== '').join(', '),
  };
}

/**
 * Pages by id. The Link stands on every page that is not empty, the last full or partial one too:
 * "when the end is reached the Link header is absent and the resulting array is empty".
 */
export function idKeysetPage<T extends { id: number }>(call: Call, all: T[], show: (item: T) => unknown): Answer {
  const { perPage } = readPage(call);
  const isAscending = call.input.text('sort') === 'asc';
  const after = call.input.whole('id_after');
  const before = call.input.whole('id_before');
  const left = all.filter((item) => (after === undefined || item.id > after) && (before === undefined || item.id < before));
  left.sort((a, b) => (isAscending ? a.id - b.id : b.id - a.id));
  const shown = left.slice(0, perPage);
  const last = shown.at(-1);
  if (!last) return json([], 200, {});
  const next = linkTo(call, { [isAscending ? 'id_after' : 'id_before']: String(last.id) });
  return json(shown.map(show), 200, { Link: `<${next}>; rel="next"` });
}

/** Gitaly's kind of keyset, for branches, tags and trees: an opaque token, and a Link only if more may follow. */
export function tokenKeysetPage<T>(call: Call, all: T[], on: { tokenOf: (item: T) => string; show: (item: T) => unknown }): Answer {
  const { perPage } = readPage(call);
  const token = call.input.text('page_token');
  const start = token === undefined ? 0 : startAfter(all, token, on.tokenOf);
  const shown = all.slice(start, start + perPage);
  const end = start + shown.length;
  const last = shown.at(-1);
  if (!last || end >= all.length) return json(shown.map(on.show));
  const next = linkTo(call, { page_token: encodeToken(end - 1, on.tokenOf(last)) });
  return json(shown.map(on.show), 200, { Link: `<${next}>; rel="next"` });
}

/** Place and name: the place alone is wrong once a branch was added, the name alone is not unique where paths are no UTF-8. */
function encodeToken(at: number, name: string): string {
  return Buffer.from(`${at} ${name}`, 'utf8').toString('base64url');
}

function startAfter<T>(all: T[], token: string, tokenOf: (item: T) => string): number {
  const match = /^(\d+) (.*)$/s.exec(Buffer.from(token, 'base64url').toString('utf8'));
  const [at, name] = [Number(match?.[1]), match?.[2]];
  const known = all[at];
  if (known !== undefined && tokenOf(known) === name) return at + 1;
  const moved = all.findIndex((item) => tokenOf(item) === name);
  if (moved === -1) throw invalidParameter('page_token is invalid');
  return moved + 1;
}

/** The same URL with some parameters replaced, on the instance's external address, as GitLab builds it. */
function linkTo(call: Call, changes: Record<string, string>): string {
  const url = new URL(call.url);
  for (const [name, value] of Object.entries(changes)) url.searchParams.set(name, value);
  return url.toString();
}

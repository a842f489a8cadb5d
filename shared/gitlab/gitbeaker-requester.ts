import { setTimeout as sleepFor } from 'node:timers/promises';
import { createRequesterFn, type FormattedResponse, type RequestOptions, type ResourceOptions, type RequesterType, type ResponseBodyTypes } from '@gitbeaker/requester-utils';
import { request, type Dispatcher } from 'undici';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { bodyOf, faultOf, heldBack, holdMs, readAnswer, type RestAnswer } from './gitbeaker-answer.ts';
import { isLasting, obstacleOf } from './gitbeaker-obstacle.ts';
import type { Redact } from './redact.ts';
import type { Release } from './slots.ts';
import { Unreachable } from './unreachable.ts';

export interface RequesterBounds {
  /** One call with its tries, its waits and its place in the queue: GitLab's own requests end after 60 s. */
  readonly totalMs: number;
  /** Tries of one GET. Whoever asks waits better than we do: outside, without holding anything. */
  readonly triesMax: number;
  /** All waiting between the tries of one call; what would take longer is thrown with its `retryAfterMs`. */
  readonly waitMsMax: number;
  /** A page of 100 branches with commit messages is about 200 KB; commit messages have no bound of their own. */
  readonly answerBytesMax: number;
}

export const REQUESTER_BOUNDS: RequesterBounds = { totalMs: 60_000, triesMax: 3, waitMsMax: 5_000, answerBytesMax: 33_554_432 };

export interface RequesterDeps {
  /** In the operator's words: `gitlab https://…`. */
  readonly dependency: string;
  readonly dispatcher: Dispatcher;
  /** A place among the requests under way. */
  takePlace(signal: AbortSignal): Promise<Release>;
  /** A pause that this GitLab has asked for, whichever request it answered so. */
  readonly pause: { leftMs(): Promise<number>; hold(ms: number): void };
  readonly redact: Redact;
  readonly hasProxy: boolean;
  readonly bounds: RequesterBounds;
  now(): Date;
  random(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Where an answer's Link header stands for our own loop (gitbeaker-pages.ts). */
export const LINK_HEADER = 'tekai-link';
/** Moved projects are one hop, a proxy in front of a proxy two; nothing honest needs more. */
const REDIRECTS_MAX = 3;
/** The first wait; each next is twice as long. */
const BACKOFF_MS = 1_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export const sleepWithTimers = async (ms: number, signal: AbortSignal): Promise<void> => { await sleepFor(ms, undefined, { signal }); };

/**
 * What gitbeaker asks through, in place of its own transport, which retries in milliseconds, sends tokens along with
 * redirects and decodes bytes (gitlab.md 8.3 to 8.6). GETs are tried again; what changes something never is.
 * @throws Unavailable | RestRefusal
 */
export function createGitbeakerRequester(deps: RequesterDeps): (options: ResourceOptions) => RequesterType {
  return createRequesterFn(
    async (_resource, options) => options,
    async (endpoint, options) => {
      const answer = await askWithPatience(deps, endpoint, options ?? {});
      const body = bodyOf(deps.dependency, answer) as ResponseBodyTypes;
      // gitbeaker follows `link` by itself, without an end if the server wishes it so: what it does not see it does not follow.
      const { link = '', ...headers } = answer.headers;
      return { body, headers: { ...headers, [LINK_HEADER]: link }, status: answer.status } satisfies FormattedResponse;
    },
  );
}

async function askWithPatience(deps: RequesterDeps, endpoint: string, options: RequestOptions): Promise<RestAnswer> {
  const { dependency, bounds } = deps;
  const signal = AbortSignal.timeout(bounds.totalMs);
  let waitMsLeft = bounds.waitMsMax;
  for (let tries = 1; ; tries += 1) {
    const fault = await askOnce(deps, endpoint, options, signal).catch((cause: unknown) => asUnavailable(deps, cause, signal));
    if (!(fault instanceof Error)) return fault;

    const mayRetry = fault instanceof Unavailable && !(fault instanceof Unreachable && isLasting(fault.obstacle)) && (options.method ?? 'GET') === 'GET' && tries < bounds.triesMax && !signal.aborted;
    const waitMs = (fault instanceof Unavailable ? fault.retryAfterMs : undefined) ?? BACKOFF_MS * 2 ** (tries - 1) * (0.5 + deps.random());
    if (!mayRetry || waitMs > waitMsLeft) throw fault;
    waitMsLeft -= waitMs;
    await deps.sleep(waitMs, signal).catch(() => { throw new Unavailable(dependency, `no answer within ${bounds.totalMs} ms`, { cause: fault }); });
  }
}

async function askOnce(deps: RequesterDeps, endpoint: string, options: RequestOptions, signal: AbortSignal): Promise<RestAnswer | Error> {
  const release = await deps.takePlace(signal);
  try {
    const leftMs = await deps.pause.leftMs();
    if (leftMs > 0) return heldBack(deps.dependency, leftMs, deps.random());
    return await askFollowing(deps, addressOf(endpoint, options), options, signal);
  } finally {
    release();
  }
}

/** Follows a GET's redirects by hand: undici follows none by itself. */
async function askFollowing(deps: RequesterDeps, first: URL, options: RequestOptions, signal: AbortSignal): Promise<RestAnswer | Error> {
  const { dependency } = deps;
  let url = first;
  let isTrusted = true;
  for (let hops = 0; ; hops += 1) {
    const response = await request(url.href, {
      dispatcher: deps.dispatcher,
      method: options.method ?? 'GET',
      headers: { accept: 'application/json', 'user-agent': 'tekai-context-engine', ...(isTrusted ? options.headers : {}) },
      body: (options.body as string | undefined) ?? null,
      signal,
    });
    const answer = await readAnswer(dependency, response, deps.bounds.answerBytesMax);

    if (!REDIRECTS.has(answer.status)) {
      const isGood = answer.status >= 200 && answer.status < 300;
      if (isGood) return answer;
      // Without our credential any refusal is about its absence, not about us: no answer.
      if (!isTrusted) return new Unavailable(dependency, `redirects to ${url.origin}, where our credential does not go (${answer.status}); register the source under that address`);
      const fault = faultOf(dependency, answer, { now: deps.now().getTime(), random: deps.random(), redact: deps.redact });
      const pauseMs = holdMs(answer, fault);
      if (pauseMs !== undefined) deps.pause.hold(pauseMs);
      return fault;
    }

    const next = nextHop(url, answer);
    if (next === undefined) return new Unavailable(dependency, `answered ${answer.status} without a usable Location`);
    if (hops >= REDIRECTS_MAX) return new Unavailable(dependency, `redirects more than ${REDIRECTS_MAX} times, last to ${next.origin}`);
    if (options.method !== undefined && options.method !== 'GET') return new Unavailable(dependency, `redirects a ${options.method} to ${next.origin}; register the source under that address`);
    if (url.protocol === 'https:' && next.protocol !== 'https:') return new Unavailable(dependency, `redirects from https to ${next.origin}: refused`);
    // Once dropped, dropped for good: a hop back to us could be anybody's wish.
    isTrusted = isTrusted && next.origin === url.origin;
    url = next;
  }
}

function nextHop(url: URL, answer: RestAnswer): URL | undefined {
  const location = answer.headers['location'];
  if (location === undefined || !URL.canParse(location, url.href)) return undefined;
  const next = new URL(location, url.href);
  return next.protocol === 'https:' || next.protocol === 'http:' ? next : undefined;
}

function addressOf(endpoint: string, options: RequestOptions): URL {
  // gitbeaker's prefix ends in a slash for some resources and not for others.
  const address = new URL(`${(options.prefixUrl ?? '').replace(/\/+$/, '')}/${endpoint}`);
  address.search = options.searchParams ?? '';
  return address;
}

/** Whatever undici or a socket throws, as the dependency being away; our own errors as they are. */
function asUnavailable(deps: RequesterDeps, cause: unknown, signal: AbortSignal): Error {
  if (cause instanceof Unavailable) return cause;
  if (signal.aborted) return new Unreachable(deps.dependency, `no answer within ${deps.bounds.totalMs} ms`, 'timeout');
  const { code = '', message = '' } = cause as { code?: string; message?: string };
  const obstacle = obstacleOf({ code, message, hasProxy: deps.hasProxy });
  // No cause attached: what undici throws can hold the request, and with it the token.
  return new Unreachable(deps.dependency, obstacle === 'address' ? message : deps.redact([code, message].filter(Boolean).join(': ') || 'the connection failed'), obstacle);
}

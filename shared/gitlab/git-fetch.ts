import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { headRef, type CacheHolds, type GitCache } from './git-cache.ts';
import { runGit, type GitEnd, type GitProgram, type GitSetting } from './git-command.ts';
import type { GitRemote } from './git-remote.ts';
import { PackTooLarge } from './git-transport.ts';
import { verdictOf, type GitVerdict } from './git-verdict.ts';

/** A fetch that brought nothing. */
export interface FetchFailure {
  readonly verdict: GitVerdict;
  /** git's words, without secrets. */
  readonly stderr: string;
}

export interface FetchBounds {
  /** One request for what a push changed, or for a lot of ids. */
  readonly fetchMs: number;
  /** One request for everything below a commit: gigabytes, at a megabyte a second. */
  readonly bringAllMs: number;
  /** Silence, in seconds: git has no bound of its own and hangs for ever (gitlab.md 7.2). */
  readonly idleSeconds: number;
}

export interface FetchDeps {
  readonly program: GitProgram;
  readonly remote: GitRemote;
  readonly bounds: FetchBounds;
  /** Waits for one of the few places that a GitLab has for us. */
  takeSlot(signal: AbortSignal): Promise<() => void>;
}

/** Ids of one request: 41 KB of them up; more saves little, and one id that the server lacks fails all. */
const IDS_PER_FETCH = 1_000;
/** Below it for as long as the idle bound, curl gives up. */
const LOW_SPEED_BYTES = 1_000;

/** Of git's words in an error. */
const QUOTE_LENGTH_MAX = 1_000;

const FETCH = ['fetch', '-q', '--no-tags', '--no-write-fetch-head', '--recurse-submodules=no'];

/**
 * How a commit is asked for. `alone`: with a depth of one, whatever stands between it and what the cache holds. `next`: its parents
 * all are heads of the cache, so it is all of history that is new, and no depth needs to be named. The server then compares it with its
 * parents, folder by folder where they differ; of a client that says that its history is cut it first reads every tree of every head.
 */
export type FetchAs = 'alone' | 'next';

/** The commit, with as much below it as the cache is to hold; against what the cache holds, only what is new. */
export async function fetchCommit(deps: FetchDeps, cache: GitCache, { commit, as, signal }: { commit: ObjectId; as: FetchAs; signal: AbortSignal }): Promise<FetchFailure | undefined> {
  const holds = cache.state?.holds ?? 'commit';
  const isBringAll = holds === 'all' && cache.state?.heads.length === 0;
  // All of it is looked at by git, to the last file; what a push adds, by us alone.
  const settings = [...settingsOf(deps), ...(isBringAll ? [] : promisorSettings(holds))];
  // Small fetches are unpacked into loose files, which nobody can watch growing, and nobody can promise.
  if (holds === 'all') settings.push(['fetch.unpackLimit', '1']);
  const args = [...FETCH, ...(as === 'alone' ? ['--depth', '1'] : []), 'origin', `+${commit}:${headRef(commit)}`];
  const deadlineMs = isBringAll ? deps.bounds.bringAllMs : deps.bounds.fetchMs;
  const end = await fetch(deps, cache, { args, settings, deadlineMs, signal, ...(as === 'next' ? { environment: cutUnsaid(cache) } : {}) });
  if (end.code !== 0) return { verdict: verdictOf(end), stderr: end.stderr };

  // Exit 0 is not enough: with a page of HTML git can succeed and bring nothing (gitlab.md 7.2).
  const brought = await readFile(join(cache.gitDirectory, headRef(commit)), 'utf8').catch(() => '');
  if (brought.trim() !== commit) return { verdict: { kind: 'odd' }, stderr: end.stderr || 'nothing, and success, but the commit is not there' };
  if (isBringAll) await cache.promisePacks();
  if (as === 'next') await cache.cutBehind(commit);
  await cache.keepHead(commit);
  return undefined;
}

/**
 * Objects by id, whatever they hang on, about a thousand a request. `noop` negotiation: with any other the server thinks
 * that we own what our commits reach and sends nothing. `tree:0` brings a tree alone, not what is below it (7.5).
 */
export async function fetchIds(deps: FetchDeps, cache: GitCache, ids: readonly ObjectId[], signal: AbortSignal): Promise<FetchFailure | undefined> {
  const settings: GitSetting[] = [...settingsOf(deps), ...promisorSettings('commit'), ['fetch.negotiationAlgorithm', 'noop']];
  for (let from = 0; from < ids.length; from += IDS_PER_FETCH) {
    const input = ids.slice(from, from + IDS_PER_FETCH);
    const end = await fetch(deps, cache, { args: [...FETCH, '--stdin', 'origin'], input, settings, deadlineMs: deps.bounds.fetchMs, signal });
    if (end.code !== 0) return { verdict: verdictOf(end), stderr: end.stderr };
  }
  return undefined;
}

interface Fetch {
  readonly args: readonly string[];
  readonly input?: readonly string[];
  readonly settings: readonly GitSetting[];
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What is cut is no secret to git itself, as grafts: else it would look for what stands before. It only does not tell the server. */
const cutUnsaid = (cache: GitCache) => ({ GIT_SHALLOW_FILE: '', GIT_GRAFT_FILE: join(cache.gitDirectory, 'shallow') });

async function fetch(deps: FetchDeps, cache: GitCache, { args, input, settings, deadlineMs, signal, environment }: Fetch): Promise<GitEnd> {
  const release = await deps.takeSlot(signal);
  try {
    const end = await cache.whileBusy(() => runGit(deps.program, {
      args: ['--git-dir', cache.gitDirectory, ...args],
      ...(input === undefined ? {} : { input }),
      ...(environment === undefined ? {} : { environment }),
      network: { settings, protocol: deps.remote.protocol, deadlineMs },
      signal,
    }));
    signal.throwIfAborted();
    return { ...end, stderr: deps.remote.redact(end.stderr) };
  } finally {
    release();
  }
}

/** Of a fetch that nobody can turn into an answer. */
export function faultOf(remote: GitRemote, { verdict, stderr }: FetchFailure): Error {
  const quoted = stderr === '' ? '' : `; git said: ${stderr.slice(-QUOTE_LENGTH_MAX)}`;
  if (verdict.kind === 'away') return new Unavailable(remote.dependency, verdict.reason + quoted, verdict.retryAfterMs === undefined ? {} : { retryAfterMs: verdict.retryAfterMs });
  if (verdict.kind === 'tooLarge') return new PackTooLarge(`${remote.dependency}: what it sends passes the bound on one file; raise the bound if this repository is meant to be followed`);
  return new Unavailable(remote.dependency, `the fetch failed, without a cache too (${verdict.kind})${quoted}`);
}

function settingsOf({ remote, bounds }: FetchDeps): GitSetting[] {
  return [
    ...remote.settings,
    ['http.followRedirects', 'false'],
    ['http.lowSpeedLimit', String(LOW_SPEED_BYTES)],
    ['http.lowSpeedTime', String(bounds.idleSeconds)],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['core.hooksPath', '/dev/null'],
    ['advice.graftFileDeprecated', 'false'],
    // Larger blobs are streamed, not held: 0.5 MB of pack can be 450 MB of zeros (gitlab.md 7.6).
    ['core.bigFileThreshold', '8m'],
    // The cache is disposable: after a power loss it is thrown away, not trusted.
    ['core.fsync', 'none'],
  ];
}

/** What is left out of what comes. git promises nothing without one: where all is to come, one that leaves out no file that there is. */
const FILTERS: Readonly<Record<CacheHolds, string>> = { commit: 'tree:0', trees: 'blob:none', all: 'blob:limit=1024g' };

/** Only ever here, never in the cache's own configuration: so its readers say "missing" instead of fetching one by one. */
function promisorSettings(holds: CacheHolds): GitSetting[] {
  return [['remote.origin.promisor', 'true'], ['remote.origin.partialclonefilter', FILTERS[holds]]];
}

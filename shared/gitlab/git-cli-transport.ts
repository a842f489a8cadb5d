import { join } from 'node:path';
import { openGitCache, type GitCache } from './git-cache.ts';
import { secretsByDefault, type GitProgram } from './git-command.ts';
import { createGitCommitObjects } from './git-commit-objects.ts';
import { faultOf, fetchCommit, type FetchBounds, type FetchDeps, type FetchFailure } from './git-fetch.ts';
import { gitRemoteOf, removeClientFiles } from './git-remote.ts';
import type { GitTransport, OpenCommit, Opened } from './git-transport.ts';
import { createKeyedSlots } from './slots.ts';

export interface GitCliTransportOptions {
  /** Holds the caches: one folder a codebase and object format. All of it may be deleted while we do not run. */
  readonly directory: string;
  /** Where git is looked for; nothing else of the environment reaches it. */
  readonly searchPath?: string;
  readonly bounds?: Partial<FetchBounds & Pick<GitProgram, 'fileBytesMax' | 'killGraceMs'>>;
  readonly secretsBy?: GitProgram['secretsBy'];
}

/** GitLab.com was seen to allow 15 at a time from one address; others fetch from there too (gitlab.md 7.7). */
export const FETCHES_PER_ORIGIN_MAX = 8;
const SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin';
const BOUNDS = {
  fetchMs: 600_000,
  bringAllMs: 3_600_000,
  idleSeconds: 60,
  /** 20 GiB: GitLab.com gives a project 10; twice that is a mistake or an attack. */
  fileBytesMax: 21_474_836_480,
  killGraceMs: 5_000,
};

/** Content by the git program (2.36 or newer), as gitlab.md 7.8 says. Only one process may use a directory. */
export function createGitCliTransport(options: GitCliTransportOptions): GitTransport {
  const bounds = { ...BOUNDS, ...options.bounds };
  const program: GitProgram = {
    searchPath: options.searchPath ?? SEARCH_PATH,
    fileBytesMax: bounds.fileBytesMax,
    killGraceMs: bounds.killGraceMs,
    secretsBy: options.secretsBy ?? secretsByDefault(),
  };
  const caches = createKeyedSlots(1);
  const origins = createKeyedSlots(FETCHES_PER_ORIGIN_MAX);

  let isSwept = false;

  return {
    async open(request) {
      if (!isSwept) removeClientFiles(options.directory);
      isSwept = true;
      const remote = gitRemoteOf(request.access, request.url, options.directory);
      const folder = join(options.directory, `${request.codebaseId}-${request.objectFormat}`);
      const release = await caches.take(folder, request.signal);
      try {
        const cache = await openGitCache(program, folder, request.objectFormat);
        const deps: FetchDeps = { program, remote, bounds, takeSlot: (signal) => origins.take(remote.origin, signal) };
        const opened = await openCommit({ deps, cache, request, release });
        if (opened.kind !== 'ok') release();
        return opened;
      } catch (fault) {
        release();
        throw fault;
      }
    },
  };
}

interface OpeningCommit {
  readonly deps: FetchDeps;
  readonly cache: GitCache;
  readonly request: OpenCommit;
  readonly release: () => void;
}

async function openCommit(opening: OpeningCommit): Promise<Opened> {
  const { deps, cache, request } = opening;
  const { commit, signal } = request;
  const heads = cache.state?.heads ?? [];
  if (heads.includes(commit)) await cache.keepHead(commit);
  else {
    // Of a cache that was opened the cheap way nobody knows what it lacks: it must not speak as a "have". All trees in one
    // request then cost less than level by level again, and make the pushes after it thin.
    if (heads.length === 0) await cache.begin('commit', signal);
    else if (cache.state?.holds === 'commit') await cache.begin('trees', signal);

    let failure = await fetchCommit(deps, cache, commit, signal);
    if (failure?.verdict.kind === 'odd' || failure?.verdict.kind === 'incomplete') {
      await cache.begin('commit', signal);
      failure = await fetchCommit(deps, cache, commit, signal);
    }
    if (failure) return refusalOf(deps, failure);
  }
  return { kind: 'ok', objects: createGitCommitObjects(opening) };
}

function refusalOf({ remote }: FetchDeps, failure: FetchFailure): Opened {
  const { verdict, stderr: detail } = failure;
  switch (verdict.kind) {
    case 'unknownId': return { kind: 'commitAbsent', detail };
    case 'refused': return { kind: 'refused', status: verdict.status, detail };
    case 'absent': return { kind: 'absent', detail };
    case 'away': case 'tooLarge': case 'odd': case 'incomplete': throw faultOf(remote, failure);
    default: return verdict satisfies never;
  }
}

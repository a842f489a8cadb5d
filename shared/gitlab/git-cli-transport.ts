import { join } from 'node:path';
import { AddressRefused, createAddressGuard, type AddressGuard } from '#shared/addresses/address-guard.ts';
import { asFileTrouble } from '#shared/blobs/file-trouble.ts';
import { claimCache } from './git-cache-claim.ts';
import { openGitCache, type GitCache } from './git-cache.ts';
import { secretsByDefault, type GitProgram } from './git-command.ts';
import { createCacheReader, createGitCommitObjects, type CacheReader, type OpenCache } from './git-commit-objects.ts';
import { faultOf, fetchCommit, type FetchAs, type FetchBounds, type FetchDeps, type FetchFailure } from './git-fetch.ts';
import { gitRemoteOf, pinsOf, removeClientFiles, type GitRemote } from './git-remote.ts';
import type { GitTransport, OpenCommit, Opened } from './git-transport.ts';
import { createKeyedSlots } from './slots.ts';
import { Unreachable } from './unreachable.ts';

export interface GitCliTransportOptions {
  /** Holds the caches: one folder a codebase and object format. All of it may be deleted while we do not run. */
  readonly directory: string;
  /** Names this process among those that use the directory one after the other: a file name, never used before. */
  readonly owner: string;
  /** Where git is looked for; nothing else of the environment reaches it. */
  readonly searchPath?: string;
  readonly bounds?: Partial<FetchBounds & Pick<GitProgram, 'fileBytesMax' | 'killGraceMs'>>;
  readonly secretsBy?: GitProgram['secretsBy'];
  /** Undefined: public addresses, and those of the source. */
  readonly addresses?: AddressGuard | undefined;
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

/** Content by the git program (2.37 or newer), as gitlab.md 7.8 says. One process at a time uses a directory; who comes next takes the caches over (claimCache). */
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
  const guard = options.addresses ?? createAddressGuard({ allowed: [] });
  /** Writes CAs and client certificates for git to read. @throws Unavailable when the disk refuses, or where GitLab is must not be gone to */
  const remoteOf = async ({ access, url }: OpenCommit): Promise<GitRemote> => {
    const pins = await pinsOf(access, guard).catch((error: unknown) => { throw unreachedOf(access, error); });
    try {
      if (!isSwept) removeClientFiles(options.directory);
      isSwept = true;
      return gitRemoteOf(access, { url, pins, authoritiesDirectory: options.directory });
    } catch (error) {
      throw asFileTrouble('git cache', options.directory, error);
    }
  };

  return {
    async open(request) {
      const remote = await remoteOf(request);
      const folder = join(options.directory, `${request.codebaseId}-${request.objectFormat}`);
      const release = await caches.take(folder, request.signal);
      try {
        const cache = await openGitCache(program, await claimCache(folder, options.owner), request.objectFormat);
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

function unreachedOf({ baseUrl }: OpenCommit['access'], error: unknown): Unreachable {
  const dependency = `gitlab ${new URL(baseUrl).origin}`;
  if (error instanceof AddressRefused) return new Unreachable(dependency, error.message, 'address');
  return new Unreachable(dependency, `its name cannot be looked up (${(error as NodeJS.ErrnoException).code ?? String(error)})`, 'name');
}

type OpeningCommit = Omit<OpenCache, 'reader' | 'isNext'>;

async function openCommit(opening: OpeningCommit): Promise<Opened> {
  const reader = createCacheReader(opening);
  const isNext = isNextOf(opening.cache.state, opening.request);
  let opened: Opened | undefined;
  try {
    const failure = await bringHead(opening, reader, isNext ? 'next' : 'alone');
    opened = failure === undefined ? { kind: 'ok', objects: createGitCommitObjects({ ...opening, reader, isNext }) } : refusalOf(opening.deps, failure);
    return opened;
  } finally {
    if (opened?.kind !== 'ok') await reader.stop();
  }
}

/** Of what a cheap opening holds nobody knows: that never speaks as a "have". */
function isNextOf(state: GitCache['state'], { parents }: OpenCommit): boolean {
  return state !== undefined && state.holds !== 'commit' && parents.length > 0 && parents.every((parent) => state.heads.includes(parent));
}

/** The commit is in the cache then, with as much below it as the cache holds. */
async function bringHead({ deps, cache, request: { commit, signal } }: OpeningCommit, reader: CacheReader, as: FetchAs): Promise<FetchFailure | undefined> {
  const heads = cache.state?.heads ?? [];
  if (heads.includes(commit)) {
    await cache.keepHead(commit);
    return undefined;
  }
  // Of a cache that was opened the cheap way nobody knows what it lacks: it must not speak as a "have". All trees in one
  // request then cost less than level by level again, and make the pushes after it thin.
  if (heads.length === 0) await cache.begin('commit', signal);
  else if (cache.state?.holds === 'commit') await cache.begin('trees', signal);
  // A push: what will be read stands in this cache, or comes into it now. The process starts while the server is thinking.
  else if (cache.state?.holds === 'all') await reader.catFile();

  let failure = await fetchCommit(deps, cache, { commit, as, signal });
  // A git that knows no grafts any more, or a server that we do not understand so.
  if (as === 'next' && isOdd(failure)) failure = await fetchCommit(deps, cache, { commit, as: 'alone', signal });
  if (!isOdd(failure)) return failure;
  await cache.begin('commit', signal);
  return fetchCommit(deps, cache, { commit, as: 'alone', signal });
}

const isOdd = (failure: FetchFailure | undefined) => failure?.verdict.kind === 'odd' || failure?.verdict.kind === 'incomplete';

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

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectId } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { GitCache } from './git-cache.ts';
import { OddCache, startCatFile, type CatFile } from './git-cat-file.ts';
import { faultOf, fetchCommit, fetchIds, type FetchDeps, type FetchFailure } from './git-fetch.ts';
import { MissingObject, type CommitObjects, type GitObject, type OpenCommit } from './git-transport.ts';

export interface OpenCache {
  readonly deps: FetchDeps;
  readonly cache: GitCache;
  readonly request: OpenCommit;
  readonly reader: CacheReader;
  /** It came as the next of what the cache holds: of that the server may think that it holds what stood in commits before, too, and leave it out. */
  readonly isNext: boolean;
  /** Gives the cache to the next. */
  readonly release: () => void;
}

/** Often enough for a person to see it move. */
const PROGRESS_INTERVAL_MS = 500;

/** The one process that reads a cache for as long as a commit is open; another when it has ended, or when the cache was begun anew. */
export interface CacheReader {
  catFile(): Promise<CatFile>;
  /** Resolves once the process has ended. */
  stop(): Promise<void>;
}

export function createCacheReader({ deps, cache, request }: Pick<OpenCache, 'deps' | 'cache' | 'request'>): CacheReader {
  let catFile: CatFile | undefined;
  return {
    async catFile() {
      const { gitDirectory } = cache;
      if (catFile?.isFree && catFile.gitDirectory === gitDirectory) return catFile;
      await catFile?.stop();
      catFile = startCatFile({ program: deps.program, gitDirectory, signal: request.signal });
      return catFile;
    },
    stop: async () => catFile?.stop(),
  };
}

/** The objects of a commit that a cache holds, with the means to get what it does not hold. */
export function createGitCommitObjects(open: OpenCache): CommitObjects {
  const { cache, request, release, reader } = open;
  let closing: Promise<void> | undefined;
  return {
    get isComplete() { return cache.state?.holds === 'all'; },
    read(ids) {
      if (closing) throw new Error('this commit was closed');
      return readThrough(open, ids);
    },
    async bringAll(onProgress) {
      if (closing) throw new Error('this commit was closed');
      if (cache.state?.holds !== 'all') await bringAll(open, onProgress);
    },
    close() {
      closing ??= (async () => {
        try {
          await reader.stop();
          if (cache.state && !request.signal.aborted) await cache.tidy(request.signal, (ids) => bringHoles(open, ids));
        } finally {
          release();
        }
      })();
      return closing;
    },
  };
}

/** Reads on where it was when the cache turns out to be damaged: thrown away once, and what is left asked by id. */
async function* readThrough(open: OpenCache, ids: readonly ObjectId[]): AsyncGenerator<GitObject> {
  const { deps, cache, reader, isNext } = open;
  let done = 0;
  let isSecondTry = false;
  while (done < ids.length) {
    const left = done === 0 ? ids : ids.slice(done);
    try {
      if (isNext || cache.state?.holds !== 'all') await bringMissing(open, left);
      for await (const object of (await reader.catFile()).read(left)) {
        done += 1;
        yield object;
      }
    } catch (fault) {
      if (!(fault instanceof OddCache)) throw fault;
      if (isSecondTry) throw new Unavailable(deps.remote.dependency, `its objects cannot be read from a new cache either: ${fault.message}`, { cause: fault });
      isSecondTry = true;
      await beginAgain(open);
    }
  }
}

/**
 * A tree and something below it, wanted in one request: git filters what it comes by on the way down and forgets that it
 * was wanted by name (two folders of equal content, one within the other, are enough). What came stays; the rest is asked again.
 */
async function bringMissing({ deps, cache, reader, request: { signal } }: OpenCache, ids: readonly ObjectId[]): Promise<void> {
  const lackedOf = async (some: readonly ObjectId[]) => (await reader.catFile()).missing(some);
  let lacked = [...new Set(await lackedOf(ids))];
  while (lacked.length > 0) {
    const failure = await fetchIds(deps, cache, lacked, signal);
    if (!failure) return;

    const { kind } = failure.verdict;
    if (kind === 'unknownId') throw new MissingObject(`GitLab does not have an object that was asked for: ${failure.stderr}`);
    if (kind === 'odd') throw new OddCache(failure.stderr);
    if (kind !== 'incomplete') throw whileOpen(deps, failure);
    const left = await lackedOf(lacked);
    if (left.length === lacked.length) throw new OddCache(failure.stderr);
    lacked = left;
  }
}

async function bringHoles({ deps, cache, request: { signal } }: OpenCache, ids: readonly ObjectId[]): Promise<'brought' | 'not now' | 'not there'> {
  const failure = await fetchIds(deps, cache, ids, signal);
  // A part of them may have come (see `bringMissing`): whoever looks again sees what is left.
  if (failure === undefined || failure.verdict.kind === 'incomplete') return 'brought';
  return failure.verdict.kind === 'away' ? 'not now' : 'not there';
}

async function bringAll({ deps, cache, request: { commit, signal } }: OpenCache, onProgress?: (bytes: number) => void): Promise<void> {
  // Anew: with the commit there already git would ask for nothing.
  await cache.begin('all', signal);
  const watching = onProgress && setInterval(() => void packBytes(cache.gitDirectory).then(onProgress), PROGRESS_INTERVAL_MS);
  try {
    const failure = await fetchCommit(deps, cache, { commit, as: 'alone', signal });
    if (failure) throw whileOpen(deps, failure);
  } finally {
    clearInterval(watching);
  }
  onProgress?.(await packBytes(cache.gitDirectory));
}

async function beginAgain({ deps, cache, request: { commit, signal } }: OpenCache): Promise<void> {
  await cache.begin('commit', signal);
  const failure = await fetchCommit(deps, cache, { commit, as: 'alone', signal });
  if (failure) throw whileOpen(deps, failure);
}

/** The commit was opened, so a refusal now is news: whoever asked begins again and hears it as an answer. */
function whileOpen(deps: FetchDeps, failure: FetchFailure): Error {
  const { kind } = failure.verdict;
  if (kind === 'away' || kind === 'tooLarge' || kind === 'odd' || kind === 'incomplete') return faultOf(deps.remote, failure);
  return new Unavailable(deps.remote.dependency, `answered otherwise than when the commit was opened (${kind}); git said: ${failure.stderr}`);
}

/** What has arrived: the pack that is being written, or was. */
async function packBytes(gitDirectory: string): Promise<number> {
  const folder = join(gitDirectory, 'objects/pack');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.pack') || name.startsWith('tmp_pack_'));
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).then(({ size }) => size, () => 0)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

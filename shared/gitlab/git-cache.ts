import { randomUUID } from 'node:crypto';
import { appendFile, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { objectId, type GitObjectFormat, type ObjectId } from '#schemas/brand.ts';
import { asFileTrouble } from '#shared/blobs/file-trouble.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { runGit, startGit, type GitProgram } from './git-command.ts';

/**
 * What stands below the commits of a cache. It decides what a fetch may tell the server that we have: a commit named as
 * a "have" speaks for all its trees and blobs, and the server leaves them out (gitlab.md 7.5).
 * `commit`: only what was read so far. `trees`: every tree. `all`: every tree and blob.
 */
const cacheHolds = z.enum(['commit', 'trees', 'all']);
export type CacheHolds = z.infer<typeof cacheHolds>;

const cacheState = z.object({
  /** The repository's folder. A new one each time, so that a git that outlived us cannot write into its successor. */
  name: z.string().regex(/^git-[0-9a-f-]{36}$/),
  holds: cacheHolds,
  /** Commits with a ref of ours, the latest used last. */
  heads: z.array(objectId),
  /** Since the last repack. */
  fetches: z.int().min(0),
  /** A fetch or repack is under way. Found at opening: we were killed, and that git may still be at work. */
  isBusy: z.boolean(),
});
type CacheState = z.infer<typeof cacheState>;

/** Several branches share their objects through them; each costs the fetch one line. */
export const HEADS_MAX = 20;
/** Each fetch leaves a pack and a line in `shallow` (gitlab.md 7.5). */
export const FETCHES_BETWEEN_REPACKS = 50;
const STATE_FILE = 'cache.json';

/** One codebase's disposable repository. Whoever uses it holds the codebase's lock. */
export interface GitCache {
  /** What is there; undefined when nothing is, or nothing that can be relied on. */
  readonly state: Readonly<CacheState> | undefined;
  readonly gitDirectory: string;
  /** Throws away what is there and begins an empty repository. */
  begin(holds: CacheHolds, signal: AbortSignal): Promise<void>;
  /** Runs what changes the repository, with what killed or failed predecessors left removed, before and after. */
  whileBusy<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Marks its packs as what the server promised: git then takes what a fetch brings as whole, and does not read every tree below the
   * new commit to see that it is (50 ms of the processor, at 100,000 files, which a push of one file would pay). We read what is new ourselves.
   */
  promisePacks(): Promise<void>;
  /** What stands before the commit, and came with none of it, is no history of this cache: as if it had come by `--depth 1`. */
  cutBehind(commit: ObjectId): Promise<void>;
  /** The commit is held, and was used last. */
  keepHead(commit: ObjectId): Promise<void>;
  /** Drops old heads and, now and then, what only they needed; `bring` gets by id what the heads name and the cache lacks: a repack wants it all. */
  tidy(signal: AbortSignal, bring: (ids: readonly ObjectId[]) => Promise<'brought' | 'not now' | 'not there'>): Promise<void>;
}

export function headRef(commit: ObjectId): string {
  return `refs/sync/${commit}`;
}

export async function openGitCache(program: GitProgram, folder: string, format: GitObjectFormat): Promise<GitCache> {
  let state = await loadState(folder);
  if (state?.isBusy) state = undefined;

  const repository = () => join(folder, current().name);
  const current = (): CacheState => {
    if (!state) throw new Error('this cache was not begun');
    return state;
  };
  const save = async (next: CacheState) => {
    state = next;
    await onDisk(async () => {
      await writeFile(join(folder, `${STATE_FILE}.new`), JSON.stringify(next));
      await rename(join(folder, `${STATE_FILE}.new`), join(folder, STATE_FILE));
    });
  };

  const repack = async (signal: AbortSignal) => {
    await onDisk(() => unmarkPromised(repository()));
    const done = await runGit(program, { args: ['--git-dir', repository(), '-c', 'core.bigFileThreshold=8m', 'repack', '-a', '-d', '-q'], signal });
    signal.throwIfAborted();
    if (done.code !== 0) return false;
    await runLocally(program, ['--git-dir', repository(), 'prune', '--expire=now'], signal);
    await onDisk(() => markPromised(repository()));
    return true;
  };

  const cache: GitCache = {
    get state() { return state; },
    get gitDirectory() { return repository(); },
    async begin(holds, signal) {
      state = undefined;
      await onDisk(async () => {
        await makeFolder(folder);
        await empty(folder);
      });
      const name = `git-${randomUUID()}`;
      await runLocally(program, ['init', '-q', '--bare', '--template=', `--object-format=${format}`, join(folder, name)], signal);
      await save({ name, holds, heads: [], fetches: 0, isBusy: false });
    },
    async whileBusy(work) {
      await save({ ...current(), isBusy: true });
      await onDisk(() => removeStaleLocks(repository()));
      try {
        return await work();
      } finally {
        // What a failed fetch leaves can be gigabytes, and nobody may come for it.
        await onDisk(() => removeStaleLocks(repository()));
        await save({ ...current(), isBusy: false, fetches: current().fetches + 1 });
      }
    },
    promisePacks: () => onDisk(() => markPromised(repository())),
    cutBehind: (commit) => onDisk(() => appendFile(join(repository(), 'shallow'), `${commit}\n`)),
    async keepHead(commit) {
      await save({ ...current(), heads: [...current().heads.filter((head) => head !== commit), commit] });
    },
    async tidy(signal, bring) {
      const { heads, fetches, holds } = current();
      const isDue = fetches >= FETCHES_BETWEEN_REPACKS;
      if (heads.length > HEADS_MAX) {
        // Refs first: a head without a ref would be promised and then pruned.
        const dropped = heads.slice(0, -HEADS_MAX);
        await save({ ...current(), heads: heads.slice(-HEADS_MAX) });
        await onDisk(() => Promise.all(dropped.map((head) => rm(join(repository(), headRef(head)), { force: true }))));
      }
      if (!isDue) return;

      // What a partial cache got by id no ref reaches, and repack keeps promised objects for ever: begin anew.
      if (holds !== 'all') return cache.begin('commit', signal);
      const filled = await fillHoles(() => holesOf(program, repository(), signal), bring);
      if (filled === 'not now') return;
      const isRepacked = filled === 'brought' && (await cache.whileBusy(() => repack(signal)));
      if (isRepacked) await save({ ...current(), fetches: 0 });
      // Damaged, or no room for a second copy: either way it is of no more use.
      else await cache.begin('commit', signal);
    },
  };
  return cache;
}

/** What the server left out because older commits hold it (`next` in git-fetch.ts), and nobody read meanwhile: a tree first, then what is below it. */
async function fillHoles(holesOf: () => Promise<ObjectId[]>, bring: Parameters<GitCache['tidy']>[1]): Promise<'brought' | 'not now' | 'not there'> {
  let before: readonly ObjectId[] = [];
  for (let holes = await holesOf(); holes.length > 0; holes = await holesOf()) {
    if (String(holes) === String(before)) return 'not there';
    const became = await bring(holes);
    if (became !== 'brought') return became;
    before = holes;
  }
  return 'brought';
}

async function holesOf(program: GitProgram, repository: string, signal: AbortSignal): Promise<ObjectId[]> {
  const git = startGit(program, { args: ['--git-dir', repository, 'rev-list', '--objects', '--all', '--missing=print'], signal });
  const holes: ObjectId[] = [];
  for await (const line of createInterface({ input: git.stdout })) if (line.startsWith('?')) holes.push(objectId.parse(line.slice(1)));
  await git.ended;
  signal.throwIfAborted();
  return holes;
}

async function loadState(folder: string): Promise<CacheState | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, STATE_FILE), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskFault(cause);
  }
  try {
    const state = cacheState.parse(JSON.parse(text));
    await stat(join(folder, state.name, 'HEAD'));
    return state;
  } catch {
    // Cut by a power loss, written by another version, or its folder gone: a cache that says nothing holds nothing.
    return undefined;
  }
}

/** The state first: without it the rest is waste, whenever we are stopped. */
async function empty(folder: string): Promise<void> {
  await rm(join(folder, STATE_FILE), { force: true });
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 });
}

/** Left by a git that was killed: `shallow.lock` fails every later fetch, `tmp_pack_*` only takes space (gitlab.md 7.5). */
async function removeStaleLocks(repository: string): Promise<void> {
  const stale = [
    ...(await namesIn(repository)).filter((name) => name.endsWith('.lock')),
    ...(await namesIn(join(repository, 'refs/sync'))).filter((name) => name.endsWith('.lock')).map((name) => join('refs/sync', name)),
    ...(await namesIn(join(repository, PACKS))).filter((name) => /^(?:tmp_|\.tmp-)|\.(?:lock|keep)$/.test(name)).map((name) => join(PACKS, name)),
  ];
  await Promise.all(stale.map((name) => rm(join(repository, name), { force: true })));
}

const PACKS = 'objects/pack';
const PROMISED = '.promisor';

/** Of every pack, also those that came later and stand marked already. */
async function markPromised(repository: string): Promise<void> {
  const packs = (await namesIn(join(repository, PACKS))).filter((name) => name.endsWith('.pack'));
  await Promise.all(packs.map((name) => writeFile(join(repository, PACKS, name.replace(/\.pack$/, PROMISED)), '')));
}

/** What is promised, repack keeps whether anything reaches it or not. */
async function unmarkPromised(repository: string): Promise<void> {
  const marks = (await namesIn(join(repository, PACKS))).filter((name) => name.endsWith(PROMISED));
  await Promise.all(marks.map((name) => rm(join(repository, PACKS, name), { force: true })));
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw cause;
  });
}

async function runLocally(program: GitProgram, args: readonly string[], signal: AbortSignal): Promise<void> {
  const end = await runGit(program, { args, signal });
  signal.throwIfAborted();
  if (end.code !== 0) throw new Unavailable('git cache', `git ${args.find((arg) => /^(?:init|prune)$/.test(arg))} failed: ${end.stderr || `exit ${end.code}`}`);
}

async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw diskFault(cause);
  }
}

/** For those who wait: what the disk said, and what mends it. */
export function diskFault(cause: unknown): Unavailable {
  const trouble = asFileTrouble('git cache', (cause as NodeJS.ErrnoException).path ?? 'a file', cause);
  return trouble instanceof Unavailable ? trouble : new Unavailable('git cache', `the disk refuses: ${(cause as Error).message}; is there space, and may we write there?`, { cause });
}

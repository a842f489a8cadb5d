import type { Readable } from 'node:stream';
import type { ObjectId } from '#schemas/brand.ts';
import type { ObjectKind } from '#shared/objects/object-index.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { startGit, type GitProgram } from './git-command.ts';
import { OBJECT_IN_MEMORY_BYTES_MAX, type GitObject } from './git-transport.ts';

/** The cache does not give what it should have: damaged, or pruned too far. Disposable, so: thrown away. */
export class OddCache extends Error {
  override readonly name = 'OddCache';
}

export interface CatFileOptions {
  readonly program: GitProgram;
  readonly gitDirectory: string;
  readonly signal: AbortSignal;
}

/** Reads a cache. One question at a time; whoever takes not all of an answer ends the process. */
export interface CatFile {
  readonly gitDirectory: string;
  /** Whether it can be asked. */
  readonly isFree: boolean;
  /** The ids that the cache lacks. Without any remote configured git cannot go and fetch them one by one (gitlab.md 7.5). @throws OddCache */
  missing(ids: readonly ObjectId[]): Promise<ObjectId[]>;
  /** The objects in the order of their ids. @throws OddCache */
  read(ids: readonly ObjectId[]): AsyncGenerator<GitObject>;
  /** Resolves once the process has ended. */
  stop(): Promise<void>;
}

/** Asked in one go; two such goes are on their way, so that git never waits for the next: 100 KB of commands. */
const IDS_AT_ONCE = 1_000;

/**
 * git maps a pack in windows of 1 GiB and lets none go: reading a repository of 1 GB took 1 GB of memory. With these it is 32 MiB.
 * Larger blobs are streamed.
 */
const READING = ['core.packedGitWindowSize=4m', 'core.packedGitLimit=32m', 'core.bigFileThreshold=8m'];

/**
 * One process for as long as a commit is open: one a list made a push start a process or two for each level of folders. It
 * sees what a fetch brings meanwhile, because git looks at the disk again for an id that it does not find.
 */
export function startCatFile({ program, gitDirectory, signal }: CatFileOptions): CatFile {
  const git = startGit(program, { args: ['--git-dir', gitDirectory, ...READING.flatMap((setting) => ['-c', setting]), 'cat-file', '--batch-command', '--buffer'], input: 'open', signal });
  const tape = createByteTape(git.stdout);
  let state: 'free' | 'busy' | 'ended' = 'free';
  const stop = async () => {
    state = 'ended';
    git.stop();
    await git.ended;
  };

  /** What `take` makes of each answer, given its first line. */
  async function* answers<T>(command: 'info' | 'contents', ids: readonly ObjectId[], take: (id: ObjectId, line: string) => Taken<T> | Promise<Taken<T>>): AsyncGenerator<T> {
    if (state !== 'free') throw new Error(`cat-file is ${state}: one question at a time, and none after the end`);
    state = 'busy';
    let left = ids.length;
    const ask = (from: number) => {
      const some = ids.slice(from, from + IDS_AT_ONCE);
      if (some.length > 0) git.stdin.write(`${some.map((id) => `${command} ${id}\n`).join('')}flush\n`);
    };
    try {
      ask(0);
      for (const [at, id] of ids.entries()) {
        if (at % IDS_AT_ONCE === 0) ask(at + IDS_AT_ONCE);
        const { value, rest } = await take(id, await tape.line());
        // Before it is given, where nothing of it is left on the tape: whoever wanted one object stops here.
        if (rest === undefined) left -= 1;
        yield value;
        if (rest === undefined) continue;
        await rest();
        left -= 1;
      }
    } catch (fault) {
      await stop();
      signal.throwIfAborted();
      if (!(fault instanceof OddCache)) throw fault;
      throw new OddCache(`${fault.message}; ${(await git.ended).stderr}`, { cause: fault });
    } finally {
      if (left > 0) await stop();
      else if (state === 'busy') state = 'free';
    }
  }

  async function takeObject(id: ObjectId, line: string): Promise<Taken<GitObject>> {
    const [answered, kind, size] = line.split(' ');
    if (answered !== id || size === undefined) throw new OddCache(`object ${id} is ${kind ?? 'not readable'}`);
    const bytes = Number(size);
    const about = { id, kind: kind as ObjectKind, bytes };
    // One byte more: the end of the line behind it.
    if (bytes <= OBJECT_IN_MEMORY_BYTES_MAX) return { value: { ...about, content: (await tape.take(bytes + 1)).subarray(0, bytes) } };
    const pieces = tape.pieces(bytes);
    const rest = async () => {
      // Whoever took only part of it still gets the next object from its beginning.
      for await (const piece of pieces) void piece;
      await tape.take(1);
    };
    return { value: { ...about, content: toldAsUnavailable(pieces, signal) }, rest };
  }

  return {
    gitDirectory,
    get isFree() { return state === 'free'; },
    async missing(ids) {
      const missing: ObjectId[] = [];
      const isMissing = (id: ObjectId, line: string) => ({ value: !line.startsWith(`${id} `) || line.endsWith(' missing') ? id : undefined });
      for await (const id of answers('info', ids, isMissing)) if (id !== undefined) missing.push(id);
      return missing;
    },
    read: (ids) => answers('contents', ids, takeObject),
    stop,
  };
}

interface Taken<T> {
  readonly value: T;
  /** Takes what is still on the tape, if anything is. */
  rest?(): Promise<void>;
}

/** Half of a large object is out already: no second try can take it back, so the taker is told. */
async function* toldAsUnavailable(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* pieces;
  } catch (cause) {
    signal.throwIfAborted();
    throw new Unavailable('git cache', 'an object could not be read to its end', { cause });
  }
}

interface ByteTape {
  line(): Promise<string>;
  take(bytes: number): Promise<Buffer>;
  /** May be left early and taken up again: it goes on where it was. */
  pieces(bytes: number): AsyncIterable<Buffer>;
}

/**
 * Reads a stream by lines and by counts. What was taken is let go and what waits is never joined anew: a tape that
 * concatenates at each chunk is quadratic (100 MB in 64 KiB chunks: minutes instead of a second).
 */
function createByteTape(source: Readable): ByteTape {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let chunk: Buffer = Buffer.alloc(0);
  let at = 0;

  const more = async () => {
    const next = await chunks.next().catch((cause: unknown) => { throw new OddCache('cat-file was stopped', { cause }); });
    if (next.done === true) throw new OddCache('cat-file ended early');
    chunk = next.value;
    at = 0;
  };
  const takeUpTo = async (bytesMax: number) => {
    while (at === chunk.length) await more();
    const piece = chunk.subarray(at, at + bytesMax);
    at += piece.length;
    return piece;
  };

  return {
    async line() {
      let text = '';
      for (;;) {
        const end = chunk.indexOf(0x0a, at);
        if (end >= 0) {
          text += chunk.toString('latin1', at, end);
          at = end + 1;
          return text;
        }
        text += chunk.toString('latin1', at);
        await more();
      }
    },
    async take(bytes) {
      if (bytes === 0) return Buffer.alloc(0);
      const first = await takeUpTo(bytes);
      if (first.length === bytes) return first;

      const whole = Buffer.allocUnsafe(bytes);
      first.copy(whole);
      for (let filled = first.length; filled < bytes;) filled += (await takeUpTo(bytes - filled)).copy(whole, filled);
      return whole;
    },
    pieces(bytes) {
      let left = bytes;
      const next = async (): Promise<IteratorResult<Buffer, undefined>> => {
        if (left === 0) return { done: true, value: undefined };
        const piece = await takeUpTo(left);
        left -= piece.length;
        return { done: false, value: piece };
      };
      return { [Symbol.asyncIterator]: () => ({ next }) };
    },
  };
}

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

export interface CacheReading {
  readonly program: GitProgram;
  readonly gitDirectory: string;
  readonly ids: readonly ObjectId[];
  readonly signal: AbortSignal;
}

/** The ids that a cache lacks. Without any remote configured git cannot go and fetch them one by one (gitlab.md 7.5). */
export async function missingIds(reading: CacheReading): Promise<ObjectId[]> {
  const git = startCatFile(reading, ['--batch-check=%(objectname)', '--buffer']);
  const missing: ObjectId[] = [];
  const tape = createByteTape(git.stdout);
  try {
    for (const id of reading.ids) {
      if ((await tape.line()) !== id) missing.push(id);
    }
  } finally {
    git.stop();
  }
  await git.ended;
  reading.signal.throwIfAborted();
  return missing;
}

/** The objects in the order of their ids, from one process. @throws OddCache */
export async function* readObjects(reading: CacheReading): AsyncGenerator<GitObject> {
  const git = startCatFile(reading, ['--batch', '--buffer']);
  const tape = createByteTape(git.stdout);
  try {
    for (const id of reading.ids) {
      const [answered, kind, size] = (await tape.line()).split(' ');
      if (answered !== id || size === undefined) throw new OddCache(`object ${id} is ${kind ?? 'not readable'}`);
      const bytes = Number(size);

      if (bytes <= OBJECT_IN_MEMORY_BYTES_MAX) {
        yield { id, kind: kind as ObjectKind, bytes, content: await tape.take(bytes) };
      } else {
        const pieces = tape.pieces(bytes);
        yield { id, kind: kind as ObjectKind, bytes, content: toldAsUnavailable(pieces, reading) };
        // Whoever took only part of it still gets the next object from its beginning.
        for await (const piece of pieces) void piece;
      }
      await tape.take(1);
    }
  } catch (fault) {
    reading.signal.throwIfAborted();
    if (!(fault instanceof OddCache)) throw fault;
    git.stop();
    throw new OddCache(`${fault.message}; ${(await git.ended).stderr}`, { cause: fault });
  } finally {
    git.stop();
    await git.ended;
  }
}

function startCatFile({ program, gitDirectory, ids, signal }: CacheReading, options: readonly string[]) {
  return startGit(program, { args: ['--git-dir', gitDirectory, '-c', 'core.bigFileThreshold=8m', 'cat-file', ...options], input: ids, signal });
}

/** Half of a large object is out already: no second try can take it back, so the taker is told. */
async function* toldAsUnavailable(pieces: AsyncIterable<Buffer>, { signal }: CacheReading): AsyncGenerator<Buffer> {
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

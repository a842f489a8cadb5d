import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Whoever read our output has left: `tekai cat … | head`. Nothing is wrong, and nothing more is to be said. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** Standard output, with its back-pressure. */
export interface Output {
  readonly isTerminal: boolean;
  /** Aborts when nobody reads any more. */
  readonly closed: AbortSignal;
  /** @throws OutputClosed */
  print(content: string | Uint8Array): Promise<void>;
}

export function createOutput(stream: Writable & { isTTY?: boolean }): Output {
  const closing = new AbortController();
  let broken: Error | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    broken ??= error.code === 'EPIPE' ? new OutputClosed() : error;
    closing.abort(broken);
  });
  return {
    isTerminal: stream.isTTY === true,
    closed: closing.signal,
    async print(content) {
      if (broken !== undefined) throw broken;
      if (stream.write(content)) return;
      await once(stream, 'drain', { signal: closing.signal }).catch((error: unknown) => { throw broken ?? error; });
    },
  };
}

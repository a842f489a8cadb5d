import { Readable, addAbortSignal } from 'node:stream';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { BlobName, ByteRange } from './blob-store.ts';

/** A store that sends nothing for this long, while we wait for more, is away. A reader who takes his time is not counted. */
export const BODY_SILENT_MS_MAX = 30_000;

export interface ReceivedBody {
  /** Of what, for errors. */
  readonly name: string;
  /** How long the body must be: what was asked for, or what the store said. */
  readonly bytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly silentMsMax?: number;
}

/**
 * The body of an answer, of exactly so many bytes: one that is cut, goes on, fails or falls silent ends as Unavailable, never as the end.
 * Whoever does not read it to the end destroys it, which lets its connection go.
 */
export function receivedBody(body: Readable, { name, bytes, signal, silentMsMax = BODY_SILENT_MS_MAX }: ReceivedBody): Readable {
  // Whoever reads hears of it by the iteration; nobody else may, for lack of a listener.
  body.on('error', () => {});
  const source = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let seen = 0;
  /** Null at the end. */
  const next = async (): Promise<Buffer | null> => {
    const { value, done } = await withDeadline(source.next(), { ms: silentMsMax, dependency: 'blob store' });
    if (done !== true) seen += value.length;
    if (seen > bytes) throw new Unavailable('blob store', `gave more of ${name} than the ${bytes} bytes it should`);
    if (done === true && seen < bytes) throw new Unavailable('blob store', `gave ${seen} bytes of ${name}, where ${bytes} were to come`);
    return done === true ? null : value;
  };
  const broken = (error: unknown) => (error instanceof Unavailable ? error : new Unavailable('blob store', `the answer with ${name} broke off after ${seen} of ${bytes} bytes`, { cause: error }));
  const readable = new Readable({
    read() { next().then((piece) => this.push(piece), (error: unknown) => this.destroy(broken(error))); },
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  return signal === undefined ? readable : addAbortSignal(signal, readable);
}

/** A blob that has not the bytes that were asked for: `bytes` are there, or came. */
export function tooShort(name: BlobName, range: ByteRange | undefined, bytes: number): Unavailable {
  return new Unavailable('blob store', `${name} has not the bytes that were asked for (${range === undefined ? 'all' : `${range.length} from ${range.offset}`}; ${bytes} are there): it was cut short; restore it from a copy, or sync its codebase again to write it anew`);
}

import { Readable, addAbortSignal } from 'node:stream';

/** The source gave more or fewer bytes than the caller of `put` said. Nothing was written. */
export class BlobLengthWrong extends Error {
  override readonly name = 'BlobLengthWrong';
}

/**
 * The pieces of `content`, which must be `bytes` long altogether. A piece too many is refused before it is given.
 * When it ends in any other way than by the end of the content, the content is destroyed.
 * @throws BlobLengthWrong, the source's own error, or the signal's reason.
 */
export async function* exactly(content: Buffer | Readable, options: { bytes: number; signal?: AbortSignal | undefined }): AsyncGenerator<Buffer, void, void> {
  const { bytes, signal } = options;
  let seen = 0;
  try {
    signal?.throwIfAborted();
    // So that a source that hangs is left when the caller gives up.
    if (signal && content instanceof Readable) addAbortSignal(signal, content);

    const pieces: Iterable<Buffer> | AsyncIterable<Buffer> = content instanceof Readable ? content : [content];
    for await (const piece of pieces) {
      signal?.throwIfAborted();
      seen += piece.length;
      if (seen > bytes) throw new BlobLengthWrong(`the source gave at least ${seen} bytes where ${bytes} were announced; nothing was written`);
      yield piece;
    }
    signal?.throwIfAborted();
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    if (content instanceof Readable) content.destroy();
  }
  if (seen < bytes) throw new BlobLengthWrong(`the source ended after ${seen} bytes where ${bytes} were announced; nothing was written`);
}

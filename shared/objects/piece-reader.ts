/** Takes exact numbers of bytes from a stream of pieces of any size. Holds one piece, and what is being put together. */
export class PieceReader {
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #onPiece: (piece: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  /** `onPiece` sees every piece once, in order, when it comes. */
  constructor(pieces: AsyncIterable<Buffer>, onPiece: (piece: Buffer) => void) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#onPiece = onPiece;
  }

  /** The next `bytes`; fewer only at the end. Without a copy when they lie in one piece. */
  async take(bytes: number): Promise<Buffer> {
    if (this.#rest.length >= bytes) return this.#cut(bytes);
    const parts: Buffer[] = [];
    let missing = bytes;
    for await (const part of this.pass(bytes)) {
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes - missing);
  }

  /** The next `bytes`, piece by piece; fewer only at the end. */
  async *pass(bytes: number): AsyncGenerator<Buffer, void, void> {
    for (let missing = bytes; missing > 0;) {
      if (this.#rest.length === 0 && !(await this.#fill())) return;
      const part = this.#cut(Math.min(missing, this.#rest.length));
      missing -= part.length;
      yield part;
    }
  }

  async isAtEnd(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#fill());
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done) return false;
      this.#onPiece(value);
      this.#rest = value;
    }
    return true;
  }

  #cut(bytes: number): Buffer {
    const part = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    return part;
  }
}

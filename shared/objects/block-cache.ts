/**
 * The plain blocks asked for last, up to a number of bytes; the one not asked for longest goes first. Whoever asks for a block
 * that another is loading waits for that load.
 */
export class BlockCache {
  readonly #bytesMax: number;
  readonly #blocks = new Map<string, Buffer>();
  readonly #loading = new Map<string, Promise<Buffer>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(key: string, load: () => Promise<Buffer>): Promise<Buffer> {
    const known = this.#blocks.get(key);
    if (known) {
      this.#blocks.delete(key);
      this.#blocks.set(key, known);
      return Promise.resolve(known);
    }
    return this.#loading.get(key) ?? this.#load(key, load);
  }

  /** What was loaded turned out to be wrong: the next who asks loads it again. */
  forget(key: string): void {
    this.#bytes -= this.#blocks.get(key)?.length ?? 0;
    this.#blocks.delete(key);
  }

  #load(key: string, load: () => Promise<Buffer>): Promise<Buffer> {
    const loading = load().then((block) => {
      this.#keep(key, block);
      return block;
    }).finally(() => { this.#loading.delete(key); });
    this.#loading.set(key, loading);
    return loading;
  }

  #keep(key: string, block: Buffer): void {
    this.#blocks.set(key, block);
    this.#bytes += block.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.forget(oldest);
    }
  }
}

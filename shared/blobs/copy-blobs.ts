import { createHash, randomUUID } from 'node:crypto';
import { Transform, type Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { BlobName, BlobStore } from './blob-store.ts';
import { BlobLengthWrong } from './exact-length.ts';

/** Under way at once: what hides a store's answer time, and keeps two cores busy with hashing. */
const AT_ONCE = 4;
/** How often a store that is away is asked again, after the tries of its adapter. */
const LOOK_AGAIN_MS = 1_000;
/** What we write, named by its SHA-256. Whatever else lies there is somebody else's, and stays. */
const OURS = /^(?:packs|findings)\/([0-9a-f]{64})$/;

export interface CopyBlobsDeps {
  readonly from: Pick<BlobStore, 'list' | 'get' | 'delete'>;
  readonly to: Pick<BlobStore, 'list' | 'get' | 'put' | 'delete'>;
  /** What is there already is read too, and written anew where it is not what its name says. */
  readonly isChecked: boolean;
  /** Whatever was read back from the other store is deleted here. */
  readonly isEmptied: boolean;
  /** Ends early, without complaint, when told to stop. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Told after each blob. */
  onBlob?(done: CopiedBlobs): void;
  /** Told when a store is away; it is asked again. */
  onAway?(why: string): void;
}

export interface CopiedBlobs {
  /** Seen in the one store. */
  readonly blobs: number;
  readonly bytes: number;
  /** Written to the other, and read back from it. */
  readonly copied: number;
  /** Deleted from the one. */
  readonly deleted: number;
  /** Not what their names say, and whole in neither store: not copied, not deleted. */
  readonly damaged: readonly BlobName[];
}

/**
 * Brings every blob of one store into another, where it is read back and must hash to its name. Both may be in use meanwhile: a blob is
 * written once and never changed. What is there already with its length is passed over, so a copy that was killed is gone on with.
 * Keeps the other store's names in memory, some 150 bytes each. @throws StoresAreOne before anything is deleted; when `signal` aborts
 */
export async function copyBlobs(deps: CopyBlobsDeps, signal: AbortSignal): Promise<CopiedBlobs> {
  if (deps.isEmptied && await untilThere(deps, signal, () => areOne(deps))) throw new StoresAreOne('what is written to the one store is seen in the other: both are one');
  const copied = { blobs: 0, bytes: 0, copied: 0, deleted: 0, damaged: [] as BlobName[] };
  const names = await untilThere(deps, signal, () => lengthsIn(deps.to, signal));
  const wanted = await untilThere(deps, signal, () => lengthsIn(deps.from, signal));
  const left = wanted.entries();
  const work = async () => {
    for (const [name, bytes] of left) {
      const done = await untilThere(deps, signal, () => bring(deps, { name, bytes, there: names.get(name) }, signal));
      copied.blobs += 1;
      copied.bytes += bytes;
      if (done === 'copied') copied.copied += 1;
      if (done === 'damaged') copied.damaged.push(name);
      else if (deps.isEmptied && await untilThere(deps, signal, () => deps.from.delete(name))) copied.deleted += 1;
      deps.onBlob?.(copied);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { ...copied, damaged: copied.damaged.sort() };
}

/** Two names of one store: whatever is deleted from the one is gone from the other. */
export class StoresAreOne extends Error {
  override readonly name = 'StoresAreOne';
}

async function areOne({ from, to }: Pick<CopyBlobsDeps, 'from' | 'to'>): Promise<boolean> {
  const probe = `probes/${randomUUID()}`;
  await to.put(probe, Buffer.alloc(1), { bytes: 1 });
  try {
    const seen = await from.get(probe);
    seen?.destroy();
    return seen !== undefined;
  } finally {
    await to.delete(probe);
  }
}

async function lengthsIn(blobs: Pick<BlobStore, 'list'>, signal: AbortSignal): Promise<Map<BlobName, number>> {
  const lengths = new Map<BlobName, number>();
  for await (const { name, bytes } of blobs.list('')) {
    signal.throwIfAborted();
    if (OURS.test(name)) lengths.set(name, bytes);
  }
  return lengths;
}

interface Wanted { readonly name: BlobName; readonly bytes: number; /** Its length in the other store. */ readonly there: number | undefined }

async function bring({ from, to, isChecked, isEmptied }: CopyBlobsDeps, { name, bytes, there }: Wanted, signal: AbortSignal): Promise<'there' | 'copied' | 'damaged'> {
  if (there === bytes && (!(isChecked || isEmptied) || await isWhole(to, name, signal))) return 'there';
  const readable = await from.get(name, { signal });
  // Deleted meanwhile, by another of these commands.
  if (readable === undefined) return await isWhole(to, name, signal) ? 'there' : 'damaged';
  try {
    await to.put(name, ofItsName(readable, name), { bytes, signal });
  } catch (error) {
    if (!(error instanceof Damaged || error instanceof BlobLengthWrong)) throw error;
    return await isWhole(to, name, signal) ? 'there' : 'damaged';
  }
  if (await isWhole(to, name, signal)) return 'copied';
  throw new Unavailable('blob store', `${name} was written, and what is read back is something else`);
}

class Damaged extends Error {
  override readonly name = 'Damaged';
}

/** The bytes, of which the last are only given once all hash to the name: who writes them has nothing otherwise. */
function ofItsName(readable: Readable, name: BlobName): Readable {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  const checked = new Transform({
    transform(piece: Buffer, _encoding, done) {
      hash.update(piece);
      const before = held;
      held = piece;
      done(null, before);
    },
    flush(done) {
      if (hash.digest('hex') !== hashOf(name)) done(new Damaged(`${name} does not hash to its name`));
      else done(null, held);
    },
  });
  readable.once('error', (error) => checked.destroy(error));
  checked.once('close', () => readable.destroy());
  return readable.pipe(checked);
}

async function isWhole(blobs: Pick<BlobStore, 'get'>, name: BlobName, signal: AbortSignal): Promise<boolean> {
  const readable = await blobs.get(name, { signal });
  if (readable === undefined) return false;
  const hash = createHash('sha256');
  readable.on('data', (piece: Buffer) => hash.update(piece));
  await finished(readable);
  return hash.digest('hex') === hashOf(name);
}

const hashOf = (name: BlobName) => OURS.exec(name)?.[1];

/** A store that is away is waited for: this goes on for hours, and nobody wants to begin it again. */
async function untilThere<T>({ sleep, onAway }: CopyBlobsDeps, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Unavailable)) throw error;
      onAway?.(error.message);
      await sleep(LOOK_AGAIN_MS, signal);
    }
  }
}

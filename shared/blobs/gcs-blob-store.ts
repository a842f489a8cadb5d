import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { CRC32C, IdempotencyStrategy, Storage, type Bucket, type StorageOptions } from '@google-cloud/storage';
import { withDeadline } from '#shared/runtime/deadline.ts';
import type { BlobsPlace } from '#shared/runtime/parse-blobs-url.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { askAgain, type Sleep } from './ask-again.ts';
import { checkBlobName, checkBlobPrefix, checkByteRange } from './blob-name.ts';
import type { BlobName, BlobStore, ByteRange } from './blob-store.ts';
import { exactly } from './exact-length.ts';
import { BODY_SILENT_MS_MAX, receivedBody, tooShort } from './received-body.ts';

export interface GcsBlobStoreOptions {
  readonly place: Extract<BlobsPlace, { readonly kind: 'gcs' }>;
  /** A service account's key file. Undefined: the credentials that Google's own programs find. */
  readonly keyFile?: string | undefined;
  readonly sleep: Sleep;
  /** How long a store may say nothing. */
  readonly silentMsMax?: number;
}

/** Read and written in one request, through memory; what is larger is streamed, and uploaded in pieces of it. */
const WHOLE_BYTES_MAX = 16 * 1_048_576;
/** An upload in pieces is asked again by the client, which alone knows how far it is. */
const UPLOAD_RETRIES_MAX = 3;
/** 200 kB/s: whoever is slower than that is away. A request that is one whole cannot be seen moving. */
const BYTES_PER_MS_MIN = 200;

interface Store { readonly bucket: Bucket; readonly uploads: Bucket; readonly prefix: string; readonly silentMsMax: number; readonly sleep: Sleep }

/** Blobs in a bucket of Google Cloud Storage. What is sent carries its CRC32C; what is received must have the length that was asked for. Opens no connection. */
export function createGcsBlobStore({ place, keyFile, sleep, silentMsMax = BODY_SILENT_MS_MAX }: GcsBlobStoreOptions): BlobStore {
  const bucketOf = (retryOptions: NonNullable<StorageOptions['retryOptions']>) => new Storage({
    ...(place.endpoint === undefined ? {} : { apiEndpoint: place.endpoint.origin }),
    ...(keyFile === undefined ? {} : { keyFilename: keyFile }),
    retryOptions, timeout: answerMsMax(silentMsMax, WHOLE_BYTES_MAX),
  }).bucket(place.bucket);
  const store: Store = {
    // By ask-again.ts: the client repeats nothing that writes, and what it repeats nobody can end.
    bucket: bucketOf({ autoRetry: false }),
    // A put writes the same whole blob, however often.
    uploads: bucketOf({ autoRetry: true, maxRetries: UPLOAD_RETRIES_MAX, totalTimeout: Math.ceil(silentMsMax / 1_000), idempotencyStrategy: IdempotencyStrategy.RetryAlways }),
    prefix: place.prefix, silentMsMax, sleep,
  };
  return {
    put: (name, content, options) => put(store, name, { content, ...options }),
    get: (name, options = {}) => get(store, name, options),
    size: (name) => size(store, name),
    delete: (name) => remove(store, name),
    list: (prefix) => list(store, prefix),
  };
}

interface Put { readonly content: Buffer | Readable; readonly bytes: number; readonly signal?: AbortSignal }

async function put(store: Store, name: BlobName, { content, bytes, signal }: Put): Promise<void> {
  const pieces = exactly(content, { bytes, signal });
  try {
    checkBlobName(name);
    if (bytes <= WHOLE_BYTES_MAX) await putWhole(store, name, { content: await buffer(pieces), signal });
    else await putStream(store, name, { pieces, signal });
  } catch (error) {
    if (content instanceof Readable) content.destroy();
    throw error;
  }
}

async function putWhole(store: Store, name: BlobName, { content, signal }: { readonly content: Buffer; readonly signal: AbortSignal | undefined }): Promise<void> {
  const sum = new CRC32C();
  sum.update(content);
  // Sent with it, so that the store refuses what was changed on the way. The client's own check would delete what is there already.
  await asked(store, { doing: `write ${name}`, signal, bytes: content.length }, () => fileOf(store, name).save(content, { resumable: false, validation: false, metadata: { crc32c: sum.toString() } }));
}

/** An upload that is not ended is not there. What was changed on the way the client finds at the end, and deletes. */
async function putStream(store: Store, name: BlobName, { pieces, signal }: { readonly pieces: AsyncGenerator<Buffer, void, void>; readonly signal: AbortSignal | undefined }): Promise<void> {
  const silent = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const heard = () => clearTimeout(timer);
  const awaitStore = () => {
    heard();
    timer = setTimeout(() => silent.abort(), store.silentMsMax);
  };
  let broken: { readonly reason: unknown } | undefined;
  const source = Readable.from((async function* () {
    try {
      for await (const piece of pieces) {
        awaitStore();
        yield piece;
        heard();
      }
      awaitStore();
    } catch (error) {
      broken = { reason: error };
      throw error;
    }
  })(), { objectMode: false });
  const upload = store.uploads.file(store.prefix + name).createWriteStream({ resumable: true, chunkSize: WHOLE_BYTES_MAX, validation: 'crc32c' }).on('progress', awaitStore);
  try {
    await pipeline(source, upload, { signal: signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal]) });
  } catch (error) {
    signal?.throwIfAborted();
    // What the source said is the source's, and no outage.
    if (broken !== undefined) throw broken.reason;
    throw silent.signal.aborted ? new Unavailable('blob store', `cannot write ${name}: it takes no more of it`) : away(`write ${name}`, error);
  } finally {
    heard();
  }
}

async function get(store: Store, name: BlobName, { range, signal }: { readonly range?: ByteRange; readonly signal?: AbortSignal }): Promise<Readable | undefined> {
  checkBlobName(name);
  if (range !== undefined) checkByteRange(range);
  if (range === undefined || range.length === 0 || range.length > WHOLE_BYTES_MAX) return getStream(store, name, { range, signal });
  const { offset, length } = range;
  const found = await ifPresent(store, { doing: `read ${name}`, signal, bytes: length }, () => fileOf(store, name).download({ start: offset, end: offset + length - 1, decompress: false }));
  if (found === undefined) return undefined;
  if (found[0].length !== length) throw tooShort(name, range, found[0].length);
  return Readable.from([found[0]], { objectMode: false });
}

async function getStream(store: Store, name: BlobName, { range, signal }: { range: ByteRange | undefined; signal: AbortSignal | undefined }): Promise<Readable | undefined> {
  const has = await size(store, name, signal);
  if (has === undefined) return undefined;
  const { offset, length } = range ?? { offset: 0, length: has };
  if (offset + length > has) throw tooShort(name, range, has);
  if (length === 0) return Readable.from([]);
  const body = await asked(store, { doing: `read ${name}`, signal }, (over) => beginToRead(store, name, { offset, length, over }));
  return receivedBody(body, { name, bytes: length, signal, silentMsMax: store.silentMsMax });
}

/** The client asks when it is first read: once this resolves it is this blob, whatever is put over it. */
async function beginToRead(store: Store, name: BlobName, { offset, length, over }: ByteRange & { readonly over: AbortSignal }): Promise<Readable> {
  const body = fileOf(store, name).createReadStream({ start: offset, end: offset + length - 1, validation: false, decompress: false });
  over.addEventListener('abort', () => body.on('error', () => {}).destroy(), { once: true });
  const begun = once(body, 'response');
  body.read(0);
  await begun;
  return body;
}

async function size(store: Store, name: BlobName, signal?: AbortSignal): Promise<number | undefined> {
  checkBlobName(name);
  const found = await ifPresent(store, { doing: `ask for ${name}`, signal }, () => fileOf(store, name).getMetadata());
  return found === undefined ? undefined : Number(found[0].size);
}

async function remove(store: Store, name: BlobName): Promise<boolean> {
  checkBlobName(name);
  return (await ifPresent(store, { doing: `delete ${name}` }, () => fileOf(store, name).delete())) !== undefined;
}

async function* list(store: Store, prefix: string): AsyncGenerator<{ name: BlobName; bytes: number; writtenAt: Date }, void, void> {
  checkBlobPrefix(prefix);
  for (let pageToken: string | undefined; ;) {
    const [files, next] = await asked(store, { doing: `list ${prefix}` }, () => store.bucket.getFiles({ prefix: store.prefix + prefix, autoPaginate: false, maxResults: 1_000, ...(pageToken === undefined ? {} : { pageToken }) }));
    for (const { name, metadata } of files) yield { name: name.slice(store.prefix.length), bytes: Number(metadata.size), writtenAt: new Date(metadata.updated ?? metadata.timeCreated ?? 0) };
    pageToken = (next as { pageToken?: string } | null)?.pageToken;
    if (pageToken === undefined) return;
  }
}

const fileOf = ({ bucket, prefix }: Store, name: BlobName) => bucket.file(prefix + name);

interface Question {
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  /** That go one way or the other in the request. */
  readonly bytes?: number;
}

/** Undefined when there is no blob of that name, in a bucket that is there. */
async function ifPresent<T>(store: Store, question: Question, ask: () => Promise<T>): Promise<T | undefined> {
  const { doing, signal } = question;
  try {
    return await asked(store, question, ask);
  } catch (error) {
    if (!(error instanceof Unavailable) || (error.cause as { code?: unknown } | undefined)?.code !== 404) throw error;
    const [isThere] = await asked(store, { doing: 'ask for the bucket', signal }, () => store.bucket.exists());
    if (isThere) return undefined;
    throw new Unavailable('blob store', `cannot ${doing}: the bucket does not exist: make it, or mend TEKAI_BLOBS_URL`, { cause: error });
  }
}

/** Given up, the client's request goes on for as long as its own bound lets it: it takes no signal. @throws Unavailable, with what the client said as its cause, or the signal's reason */
function asked<T>({ sleep, silentMsMax }: Store, { doing, signal, bytes = 0 }: Question, ask: (over: AbortSignal) => Promise<T>): Promise<T> {
  return askAgain({ sleep, signal, isFinal, away: (error) => away(doing, error) }, async () => {
    const over = new AbortController();
    try {
      return await withDeadline(ask(over.signal), { ms: answerMsMax(silentMsMax, bytes), dependency: 'blob store', signal });
    } catch (error) {
      over.abort();
      throw error;
    }
  });
}

const answerMsMax = (silentMsMax: number, bytes: number) => silentMsMax + Math.ceil(bytes / BYTES_PER_MS_MIN);

/** What the store refused for a reason that stays, and what was silent for as long as one may wait. */
function isFinal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof Unavailable || (typeof code === 'number' && code >= 400 && code < 500 && code !== 408 && code !== 429);
}

function away(doing: string, error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  return new Unavailable('blob store', `cannot ${doing}: ${[code, message].filter((one) => one !== undefined && one !== '').map(String).join(': ') || 'no reason given'}`, { cause: error });
}

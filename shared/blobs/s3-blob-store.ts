import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Client } from 'minio';
import type { BlobsPlace } from '#shared/runtime/parse-blobs-url.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { askAgain, type Sleep } from './ask-again.ts';
import { checkBlobName, checkBlobPrefix, checkByteRange } from './blob-name.ts';
import type { BlobName, BlobStore, ByteRange } from './blob-store.ts';
import { exactly } from './exact-length.ts';
import { BODY_SILENT_MS_MAX, receivedBody, tooShort } from './received-body.ts';
import { openS3, REMEDIES, s3Away, s3CodeOf, SILENT, type Asking, type S3Credentials } from './s3-client.ts';

export interface S3BlobStoreOptions {
  readonly place: Extract<BlobsPlace, { readonly kind: 's3' }>;
  readonly credentials: S3Credentials;
  readonly sleep: Sleep;
  /** How long a store may say nothing. */
  readonly silentMsMax?: number;
}

/** Held in memory for each put, and sent at once: what is smaller is one request, what is larger a multipart upload of these. S3 wants 5 MiB at least. */
const PART_BYTES = 16 * 1_048_576;
/** No retry mends these. */
const FINAL = new Set([...Object.keys(REMEDIES), 'InvalidRange', 'NoSuchKey', 'NotFound', SILENT]);
/** To sweep up after a put that failed, whose caller waits meanwhile. */
const SWEEP_MS_MAX = 5_000;

/**
 * Blobs in a bucket of an S3 store, each a request of its own: whole or not there at all. What is sent carries its checksum, so that
 * the store refuses what was damaged on the way; what is received must have the length that was asked for. Opens no connection.
 */
export function createS3BlobStore({ place, credentials, sleep, silentMsMax = BODY_SILENT_MS_MAX }: S3BlobStoreOptions): BlobStore {
  const bucket: Bucket = { ask: openS3({ place, credentials, answerMsMax: silentMsMax }), name: place.bucket, prefix: place.prefix, silentMsMax, sleep };
  return {
    put: (name, content, options) => put(bucket, name, { content, ...options }),
    get: (name, options = {}) => get(bucket, name, options),
    size: async (name) => (await status(bucket, name))?.bytes,
    delete: (name) => remove(bucket, name),
    list: (prefix) => list(bucket, prefix),
  };
}

interface Bucket {
  ask(asking?: Asking): Client;
  readonly name: string;
  readonly prefix: string;
  readonly silentMsMax: number;
  readonly sleep: Sleep;
}

interface Put { readonly content: Buffer | Readable; readonly bytes: number; readonly signal?: AbortSignal }

async function put(bucket: Bucket, name: BlobName, { content, bytes, signal }: Put): Promise<void> {
  const pieces = exactly(content, { bytes, signal });
  try {
    checkBlobName(name);
    const parts = partsOf(pieces);
    const first = await parts.next();
    // Also the end of the source is seen before anything is sent.
    if (bytes <= PART_BYTES) await putWhole(bucket, name, first.value ?? Buffer.alloc(0), signal);
    else await putParts(bucket, name, { first: first.value ?? Buffer.alloc(0), rest: parts, signal });
  } catch (error) {
    if (content instanceof Readable) content.destroy();
    throw error;
  }
}

/** All of them PART_BYTES long but the last. A part is given once the source has said that it goes on, or ended well. */
async function* partsOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (let piece of pieces) {
    while (bytes + piece.length > PART_BYTES) {
      const room = PART_BYTES - bytes;
      yield Buffer.concat([...held, piece.subarray(0, room)]);
      [held, bytes, piece] = [[], 0, piece.subarray(room)];
    }
    held.push(piece);
    bytes += piece.length;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

async function putWhole(bucket: Bucket, name: BlobName, content: Buffer, signal: AbortSignal | undefined): Promise<void> {
  await asked(bucket, { doing: `write ${name}`, signal }, (client) => client.putObject(bucket.name, keyOf(bucket, name), content, content.length));
}

interface Parts { readonly first: Buffer; readonly rest: AsyncIterable<Buffer>; readonly signal: AbortSignal | undefined }

/** An upload of our own making: two puts of one name know nothing of each other, and the last to complete is the one. */
async function putParts(bucket: Bucket, name: BlobName, { first, rest, signal }: Parts): Promise<void> {
  const key = keyOf(bucket, name);
  const uploadID = await asked(bucket, { doing: `begin to write ${name}`, signal }, (client) => client.initiateNewMultipartUpload(bucket.name, key, {}));
  try {
    const etags: { part: number; etag: string }[] = [];
    const send = async (part: Buffer) => {
      const partNumber = etags.length + 1;
      const headers = { 'Content-MD5': createHash('md5').update(part).digest('base64'), 'Content-Length': String(part.length) };
      const { etag } = await asked(bucket, { doing: `write part ${partNumber} of ${name}`, signal }, (client) => client.uploadPart({ bucketName: bucket.name, objectName: key, uploadID, partNumber, headers }, part));
      etags.push({ part: partNumber, etag });
    };
    await send(first);
    for await (const part of rest) await send(part);
    // Not tried again: it may have been done, and would then be said to be unknown. Who puts again writes anew.
    await asked(bucket, { doing: `finish writing ${name}`, signal, isOnce: true }, (client) => client.completeMultipartUpload(bucket.name, key, uploadID, etags));
  } catch (error) {
    // What stays of it costs room only: a rule of the bucket sweeps it (docs/operations.md).
    await bucket.ask({ signal: AbortSignal.timeout(SWEEP_MS_MAX) }).abortMultipartUpload(bucket.name, key, uploadID).catch(() => undefined);
    throw error;
  }
}

async function get(bucket: Bucket, name: BlobName, { range, signal }: { readonly range?: ByteRange; readonly signal?: AbortSignal }): Promise<Readable | undefined> {
  checkBlobName(name);
  if (range !== undefined) checkByteRange(range);
  if (range?.length === 0) return emptyRange(bucket, name, { range, signal });
  const body = await ifPresent(bucket, { doing: `read ${name}`, signal, isBodyGiven: true }, (client) => client.getPartialObject(bucket.name, keyOf(bucket, name), range?.offset ?? 0, range?.length ?? 0));
  if (body === undefined) return undefined;
  const bytes = Number((body as IncomingMessage).headers['content-length'] ?? 'NaN');
  if (signal?.aborted === true || !Number.isSafeInteger(bytes) || (range !== undefined && bytes !== range.length)) {
    body.destroy();
    signal?.throwIfAborted();
    throw tooShort(name, range, bytes);
  }
  return receivedBody(body, { name, bytes, signal, silentMsMax: bucket.silentMsMax });
}

/** S3 has no range of nothing. */
async function emptyRange(bucket: Bucket, name: BlobName, { range, signal }: { readonly range: ByteRange; readonly signal: AbortSignal | undefined }): Promise<Readable | undefined> {
  const found = await status(bucket, name, signal);
  if (found === undefined) return undefined;
  if (range.offset > found.bytes) throw tooShort(name, range, found.bytes);
  return Readable.from([]);
}

async function status(bucket: Bucket, name: BlobName, signal?: AbortSignal): Promise<{ bytes: number } | undefined> {
  checkBlobName(name);
  const found = await ifPresent(bucket, { doing: `ask for ${name}`, signal }, (client) => client.statObject(bucket.name, keyOf(bucket, name)));
  return found === undefined ? undefined : { bytes: found.size };
}

async function remove(bucket: Bucket, name: BlobName): Promise<boolean> {
  // S3 does not say whether there was one.
  if ((await status(bucket, name)) === undefined) return false;
  await asked(bucket, { doing: `delete ${name}` }, (client) => client.removeObject(bucket.name, keyOf(bucket, name)));
  return true;
}

async function* list(bucket: Bucket, prefix: string): AsyncGenerator<{ name: BlobName; bytes: number; writtenAt: Date }, void, void> {
  checkBlobPrefix(prefix);
  try {
    for await (const { name, size, lastModified } of bucket.ask().listObjectsV2(bucket.name, bucket.prefix + prefix, true) as AsyncIterable<{ name?: string; size: number; lastModified?: Date }>) {
      if (name !== undefined && lastModified !== undefined) yield { name: name.slice(bucket.prefix.length), bytes: size, writtenAt: lastModified };
    }
  } catch (error) {
    throw s3Away(`list ${prefix}`, error);
  }
}

const keyOf = ({ prefix }: Bucket, name: BlobName) => prefix + name;

/** Undefined when there is no blob of that name, in a bucket that is there. */
async function ifPresent<T>(bucket: Bucket, question: Question, ask: (client: Client) => Promise<T>): Promise<T | undefined> {
  const { doing, signal } = question;
  try {
    return await asked(bucket, question, ask);
  } catch (error) {
    const code = error instanceof Unavailable ? s3CodeOf(error.cause) : undefined;
    if (code === 'NoSuchKey') return undefined;
    // The answer to HEAD has no body that could say what is not there.
    if (code === 'NotFound' && await asked(bucket, { doing: 'ask for the bucket', signal }, (client) => client.bucketExists(bucket.name))) return undefined;
    if (code === 'NotFound') throw s3Away(doing, Object.assign(new Error('no bucket'), { code: 'NoSuchBucket' }));
    throw error;
  }
}

interface Question extends Asking {
  readonly doing: string;
  /** What may have been done although no answer came, and would then be refused. */
  readonly isOnce?: boolean;
}

/** @throws Unavailable, with what the client said as its cause, or the signal's reason */
function asked<T>({ ask: clientOf, sleep }: Bucket, { doing, isOnce = false, ...asking }: Question, ask: (client: Client) => Promise<T>): Promise<T> {
  const isFinal = (error: unknown) => isOnce || FINAL.has(s3CodeOf(error) ?? '');
  return askAgain({ sleep, signal: asking.signal, isFinal, away: (error) => s3Away(doing, error) }, () => ask(clientOf(asking)));
}

import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { Client } from 'minio';
import type { BlobsPlace } from '#shared/runtime/parse-blobs-url.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface S3Credentials { readonly accessKey: string; readonly secretKey: string }

export interface S3Options {
  readonly place: Extract<BlobsPlace, { readonly kind: 's3' }>;
  readonly credentials: S3Credentials;
  /** A store that does not answer, or does not take what is sent, for this long is away; so is one to which no connection is free. */
  readonly answerMsMax: number;
}

/** What the requests of a client have in common, since minio-js takes neither by itself. */
export interface Asking {
  /** Ends whatever is under way. */
  readonly signal?: AbortSignal | undefined;
  /** The body is given away, and read by whoever has it, in his own time. */
  readonly isBodyGiven?: boolean;
}

/** Of one process to one store: more wait for their turn. */
const SOCKETS_MAX = 64;
/** Bodies that somebody reads, or forgot, each on a connection of its own beside those: they hold up nobody who asks something else. */
export const BODIES_OPEN_MAX = 256;
/** A connection that is idle longer may be cut by who stands between. */
const KEEP_ALIVE_MS = 10_000;
/** Above what we ever put at once, so that the client never makes parts by itself: it would go on with those of another put of the same name. */
const PART_BYTES = 64 * 1_048_576;
/** minio-js leaves the answers with these unread, each of which would hold its connection for good. */
const LEFT_UNREAD = new Set([408, 429, 499, 500, 502, 503, 504, 520]);
/** The code of what was ended here because nothing moved: asking again at once would double the time that somebody waits. */
export const SILENT = 'NoAnswer';

/** Clients of one store (15 µs each) over connections that they share. Connects nowhere yet. @throws when the authority's file cannot be read */
export function openS3({ place, credentials, answerMsMax }: S3Options): (asking?: Asking) => Client {
  const { endpoint, region, style, caFile } = place;
  const isTls = endpoint.protocol === 'https:';
  const bounds = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, timeout: answerMsMax, ...(caFile === undefined ? {} : { ca: readCa(caFile) }) };
  const agentOf = (maxSockets: number) => (isTls ? new https.Agent({ ...bounds, maxSockets }) : new http.Agent({ ...bounds, maxSockets }));
  const [agent, bodies] = [agentOf(SOCKETS_MAX), agentOf(BODIES_OPEN_MAX)];
  return (asking = {}) => new Client({
    endPoint: endpoint.hostname.replace(/^\[|\]$/g, ''), port: Number(endpoint.port) || (isTls ? 443 : 80), useSSL: isTls,
    region, pathStyle: style === 'path', partSize: PART_BYTES, ...credentials,
    transportAgent: asking.isBodyGiven === true ? bodies : agent,
    transport: patient(isTls ? https : http, { ...asking, answerMsMax }),
    // Ours, which knows what may be asked twice (s3-blob-store.ts).
    retryOptions: { disableRetry: true },
  });
}

/** minio-js waits for ever: a request is ended here that gets no connection, that nothing moves on, or that nobody wants any more. */
function patient({ request }: typeof http | typeof https, { answerMsMax, signal, isBodyGiven }: Asking & { readonly answerMsMax: number }): typeof http {
  const asked = (...given: Parameters<typeof http.request>) => {
    const made = request(...given);
    const end = (error: Error) => {
      clearTimeout(unconnected);
      made.destroy(error);
      // Node tells a request that still waits for a connection of its end only when it gets one.
      if (made.socket === null) made.emit('error', error);
    };
    const silent = () => end(Object.assign(new Error(`nothing came within ${answerMsMax} ms`), { code: SILENT }));
    const unconnected = setTimeout(silent, answerMsMax);
    const connected = () => clearTimeout(unconnected);
    const abort = () => end(new Error('given up'));
    // Whoever asked hears an error from the next tick on.
    if (signal?.aborted === true) process.nextTick(abort);
    else signal?.addEventListener('abort', abort, { once: true });
    made.setTimeout(answerMsMax, silent);
    made.once('socket', (socket) => { if (socket.connecting) socket.once('connect', connected); else connected(); });
    made.once('response', (answer: http.IncomingMessage) => {
      const status = answer.statusCode ?? 0;
      if (LEFT_UNREAD.has(status)) answer.resume();
      // From here on it is received-body.ts that knows whether anybody waits.
      else if (isBodyGiven === true && status < 300) made.off('timeout', silent).setTimeout(0);
    });
    made.once('close', () => { connected(); signal?.removeEventListener('abort', abort); });
    return made;
  };
  return { request: asked } as unknown as typeof http;
}

function readCa(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Error(`the authority that TEKAI_BLOBS_URL names cannot be read: ${file}`, { cause });
  }
}

/** What the codes of S3 and of TLS ask of an operator. No retry mends them. */
export const REMEDIES: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist: make it, or mend TEKAI_BLOBS_URL',
  AccessDenied: 'these credentials may not do that: give them reading, writing, listing and deleting in the bucket',
  InvalidAccessKeyId: 'the store does not know TEKAI_BLOBS_ACCESS_KEY',
  SignatureDoesNotMatch: 'TEKAI_BLOBS_SECRET_KEY is another than the store\'s, or something on the way changes requests',
  RequestTimeTooSkewed: 'the clocks of this machine and of the store differ: set them right',
  ...Object.fromEntries(['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT']
    .map((code) => [code, 'nobody whom this machine trusts vouches for the store\'s certificate: name its authority by ca= in TEKAI_BLOBS_URL'])),
  ERR_TLS_CERT_ALTNAME_INVALID: 'the store\'s certificate is for another name than the endpoint in TEKAI_BLOBS_URL',
};

/** The code of an S3 answer, of a refused connection, or undefined. */
export function s3CodeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Whatever the client threw, as the outage that it is to whoever waits. Its message holds no secret: codes and words of the store. */
export function s3Away(doing: string, error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  const code = s3CodeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  return new Unavailable('blob store', `cannot ${doing}: ${REMEDIES[code ?? ''] ?? ([code, said].filter((one) => one !== undefined && one !== '').join(': ') || 'no reason given')}`, { cause: error });
}

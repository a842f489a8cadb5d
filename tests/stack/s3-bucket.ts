import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3_KEYS } from '../../infra/servers/s3proxy.ts';
import { openS3 } from '../../shared/blobs/s3-client.ts';
import { createS3BlobStore, type S3BlobStoreOptions } from '../../shared/blobs/s3-blob-store.ts';
import { parseBlobsUrl, type BlobsPlace } from '../../shared/runtime/parse-blobs-url.ts';

export type S3Place = Extract<BlobsPlace, { readonly kind: 's3' }>;

/** A bucket on a store of the run on a store of the run. */
export interface S3Bucket { readonly place: S3Place; readonly url: string; readonly name: string }

export async function makeBucket(endpoint: string, { prefix = '', more = '', name = `tekai-${randomBytes(6).toString('hex')}` }: { prefix?: string; more?: string; name?: string } = {}): Promise<S3Bucket> {
  const url = `s3://${name}${prefix === '' ? '' : `/${prefix}`}?endpoint=${endpoint}${more}`;
  const place = parseBlobsUrl(url) as S3Place;
  await openS3({ place, credentials: S3_KEYS, answerMsMax: 30_000 })().makeBucket(name);
  return { place, url, name };
}

export function openStore(place: S3Place, more: Partial<S3BlobStoreOptions> = {}) {
  return createS3BlobStore({ place, credentials: S3_KEYS, sleep: sleepUntilTold, ...more });
}

export const sleepUntilTold = (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { ...signal && { signal } }).catch(() => undefined);

import { copyBlobs, StoresAreOne, type CopiedBlobs } from '#shared/blobs/copy-blobs.ts';
import { parseBlobsUrl, WrongBlobsUrl } from '#shared/runtime/parse-blobs-url.ts';
import type { BlobsSettings, Settings } from '#shared/runtime/settings.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import type { MigrateBlobsRequest } from './cli/cli.ts';
import { openBlobs, sleep } from './composition-stores.ts';

export interface MigrateBlobsOptions {
  readonly settings: Settings;
  readonly request: MigrateBlobsRequest;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

/** How often a person hears how far it is. */
const TELL_EVERY_MS = 2_000;
const EXIT_FAILED = 1;
/** Names of damaged blobs that are told; all are in --json. */
const TOLD_MAX = 20;
const DISK = 'disk';

/** Resolves to the exit code: 0 once every blob of the one store is in the other. @throws StartRefused */
export async function runMigrateBlobs({ settings, request, signal, print, note }: MigrateBlobsOptions): Promise<number> {
  const began = performance.now();
  const other = otherBlobs(settings, request);
  const [from, to] = request.way === 'to' ? [settings.blobs, other] : [other, settings.blobs];
  if (placeOf(from) === placeOf(to)) throw new StartRefused(`Both stores are one: ${placeOf(from)}. TEKAI_BLOBS_URL and --${request.way} must name two.`);
  let told = began;
  const tell = (text: () => string) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    note(`${text()}\n`);
  };
  try {
    const done = await copyBlobs({
      from: await openBlobs({ ...settings, blobs: from }), to: await openBlobs({ ...settings, blobs: to }),
      isChecked: request.isChecked, isEmptied: request.isEmptied, sleep,
      onBlob: ({ blobs, bytes, copied }) => tell(() => `${blobs.toLocaleString('en')} blobs (${megabytes(bytes)}) seen, ${copied.toLocaleString('en')} copied`),
      onAway: (why) => tell(() => `${why}; it goes on when that is mended`),
    }, signal);
    const seconds = Number(((performance.now() - began) / 1_000).toFixed(1));
    print(request.json ? `${JSON.stringify({ from: placeOf(from), to: placeOf(to), ...done, seconds }, null, 2)}\n` : inWords(done, { request, from: placeOf(from), to: placeOf(to), seconds }));
    return done.damaged.length === 0 ? 0 : EXIT_FAILED;
  } catch (error) {
    if (error instanceof StoresAreOne) throw new StartRefused(`${placeOf(from)} and ${placeOf(to)} are one store: what is written to the one is seen in the other. Nothing was deleted. TEKAI_BLOBS_URL and --${request.way} must name two.`);
    if (!signal.aborted) throw error;
    note('Stopped. What was copied stays; the same command goes on with it.\n');
    return EXIT_FAILED;
  }
}

/** @throws StartRefused */
function otherBlobs({ otherBlobs: credentials }: Settings, { way, other }: MigrateBlobsRequest): BlobsSettings | undefined {
  if (other === DISK) return undefined;
  try {
    const place = parseBlobsUrl(other);
    if (place.kind === 's3' && (credentials.accessKey === '' || credentials.secretKey === '')) throw new StartRefused('Set TEKAI_BLOBS_OTHER_ACCESS_KEY and TEKAI_BLOBS_OTHER_SECRET_KEY, which let us into that store.');
    return { place, ...credentials };
  } catch (error) {
    // Whoever wrote credentials into it does not want to read them again.
    if (error instanceof WrongBlobsUrl) throw new StartRefused(`--${way} cannot be used: ${error.faults.join('; ')}; or write "${DISK}" for the state folder.`);
    throw error;
  }
}

function placeOf(blobs: BlobsSettings | undefined): string {
  if (blobs === undefined) return DISK;
  const { kind, bucket, prefix, endpoint } = blobs.place;
  return `${kind === 's3' ? 's3' : 'gs'}://${bucket}/${prefix}${endpoint === undefined ? '' : ` at ${endpoint.origin}`}`;
}

interface Words { readonly request: MigrateBlobsRequest; readonly from: string; readonly to: string; readonly seconds: number }

function inWords({ blobs, bytes, copied, deleted, damaged }: CopiedBlobs, { request, from, to, seconds }: Words): string {
  const whole = blobs - damaged.length;
  return [
    `${whole.toLocaleString('en')} of ${blobs.toLocaleString('en')} blobs (${megabytes(bytes)}) of ${from} are in ${to}: ${copied.toLocaleString('en')} were copied and read back now (${seconds} s).`,
    ...(damaged.length === 0 ? [] : [`NOT COPIED, since they are damaged: ${damaged.slice(0, TOLD_MAX).join(', ')}${damaged.length > TOLD_MAX ? ' and more' : ''}. Restore them from a copy.`]),
    ...(request.isEmptied ? [`${deleted.toLocaleString('en')} were deleted from ${from}.`] : []),
    ...(request.way === 'to' ? ['Next: set TEKAI_BLOBS_URL and its credentials, restart the engine, and bring what it wrote meanwhile by "tekai blobs migrate --from" with the store of before.'] : []),
    '',
  ].join('\n');
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} MB`;

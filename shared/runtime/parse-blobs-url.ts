/** Where blobs lie, as TEKAI_BLOBS_URL says it. */
export type BlobsPlace =
  | {
    readonly kind: 's3';
    readonly bucket: string;
    /** What our names begin with in the bucket: empty, or ends with a slash. */
    readonly prefix: string;
    readonly endpoint: URL;
    readonly region: string;
    /** Whether the bucket's name is in the path or in the host. */
    readonly style: 'path' | 'host';
    /** The file of an authority to trust instead of the public ones. */
    readonly caFile: string | undefined;
  }
  | { readonly kind: 'gcs'; readonly bucket: string; readonly prefix: string; /** Undefined: Google's. */ readonly endpoint: URL | undefined };

export const BLOBS_URL_EXAMPLE = 's3://tekai-blobs?endpoint=https://s3.eu-central-1.amazonaws.com&region=eu-central-1';

const OPTIONS: Readonly<Record<BlobsPlace['kind'], readonly string[]>> = { s3: ['endpoint', 'region', 'style', 'ca'], gcs: ['endpoint'] };
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/;
/** Our names have 80 characters at most, and S3 takes 1,024 bytes. */
const PREFIX = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/;
const PREFIX_LENGTH_MAX = 500;
const REGION = 'us-east-1';

/** Every fault at once. Nothing in it is secret: credentials are settings of their own. */
export class WrongBlobsUrl extends Error {
  override readonly name = 'WrongBlobsUrl';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the address of the blobs cannot be used: ${faults.join('; ')}`);
    this.faults = faults;
  }
}

/** `s3://bucket/prefix?endpoint=https://…&region=…&style=path|host&ca=/file`, or `gs://bucket/prefix`. @throws WrongBlobsUrl */
export function parseBlobsUrl(text: string): BlobsPlace {
  const [, scheme, bucket = '', path = '', query = ''] = /^(s3|gs):\/\/([^/?#]*)\/?([^?#]*)(?:\?([^#]*))?$/.exec(text) ?? [];
  if (scheme === undefined) throw new WrongBlobsUrl(['wanted is s3://bucket or gs://bucket, with a prefix behind a slash, and options after a ?']);
  const kind = scheme === 's3' ? 's3' : 'gcs';
  const faults: string[] = [];
  if (bucket.includes('@')) faults.push('credentials stand in TEKAI_BLOBS_ACCESS_KEY and TEKAI_BLOBS_SECRET_KEY, and not here');
  else if (!BUCKET.test(bucket)) faults.push('the bucket has 3 to 63 lower-case letters, digits, dots and dashes');
  const prefix = path === '' ? '' : `${path.replace(/\/+$/, '')}/`;
  if (!PREFIX.test(prefix) || prefix.length > PREFIX_LENGTH_MAX || prefix.includes('..')) faults.push(`the prefix has letters, digits, dots, dashes and slashes, ${PREFIX_LENGTH_MAX} at most`);
  const options = new URLSearchParams(query);
  for (const name of new Set(options.keys())) {
    if (!OPTIONS[kind].includes(name)) faults.push(`there is no option ${JSON.stringify(name.slice(0, 40))}; there is ${OPTIONS[kind].join(', ')}`);
    else if (options.getAll(name).length > 1) faults.push(`${name} is there twice`);
  }
  const endpoint = endpointOf(options.get('endpoint'), faults);
  if (kind === 's3' && endpoint === undefined && !options.has('endpoint')) faults.push('endpoint says where the store is: endpoint=https://host[:port]');
  const style = options.get('style') ?? 'path';
  if (style !== 'path' && style !== 'host') faults.push('style is path or host');
  const caFile = options.get('ca') ?? undefined;
  if (caFile !== undefined && endpoint?.protocol === 'http:') faults.push('ca goes with an endpoint that begins with https:// only');
  if (faults.length > 0) throw new WrongBlobsUrl(faults);
  return kind === 'gcs' ? { kind, bucket, prefix, endpoint }
    : { kind, bucket, prefix, endpoint: endpoint!, region: options.get('region') ?? REGION, style: style as 'path' | 'host', caFile };
}

function endpointOf(text: string | null, faults: string[]): URL | undefined {
  if (text === null) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.pathname === '/' && url.search === '') return url;
  faults.push('endpoint is https://host[:port] (or http://, for a store on this machine), with nothing behind it');
  return undefined;
}

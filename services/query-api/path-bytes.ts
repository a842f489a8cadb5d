import { Problem } from '#shared/runtime/problem.ts';

/** Git's own bound on a path is the file system's; 4,096 bytes is Linux's PATH_MAX, doubled for odd repositories. */
const PATH_BYTES_MAX = 8_192;

/** The bytes that a percent-encoded piece of a URL stands for. Not `decodeURIComponent`: paths in git are bytes, and need not be UTF-8. */
export function bytesOf(encoded: string): Buffer {
  if (encoded.length > PATH_BYTES_MAX * 3) throw tooLong();
  if (/%(?![0-9A-Fa-f]{2})/.test(encoded)) throw new Problem(400, 'bad-escape', 'A percent sign in the path is not followed by two hex digits. Write % itself as %25.');
  const bytes = Buffer.from(encoded, 'utf8').toString('latin1').replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (bytes.length > PATH_BYTES_MAX) throw tooLong();
  return Buffer.from(bytes, 'latin1');
}

const tooLong = () => new Problem(400, 'path-too-long', `A path may have ${PATH_BYTES_MAX} bytes.`);

const SLASH = 0x2f;

/** The names on the way; slashes at the ends and doubled ones say nothing. `%2F` is a slash: no name in git holds one. */
export function segmentsOf(path: Buffer): Buffer[] {
  const segments: Buffer[] = [];
  let from = 0;
  for (let at = 0; at <= path.length; at += 1) {
    if (at < path.length && path[at] !== SLASH) continue;
    if (at > from) segments.push(path.subarray(from, at));
    from = at + 1;
  }
  return segments;
}

/**
 * The path that a query names, by `path=` (percent-escaped bytes) or `pathHex=`; the root when by neither. From the URL as it came:
 * a parser of queries would decode it as UTF-8. @throws Problem 400
 */
export function pathInQuery(url: string): Buffer {
  const parts = url.slice(url.indexOf('?') + 1).split('&').map((part) => part.split('=', 2) as [string, string?]);
  const [given, ...more] = url.includes('?') ? parts.filter(([name, value]) => (name === 'path' || name === 'pathHex') && value !== undefined) : [];
  if (more.length > 0) throw new Problem(400, 'given-twice', 'path= or pathHex= may be given once, and not both.');
  if (given === undefined) return Buffer.alloc(0);
  const [name, value = ''] = given;
  // A plus is a space in a query, as forms write it.
  return name === 'path' ? bytesOf(value.replaceAll('+', '%20')) : bytesOfHex(value);
}

/** @throws Problem 400 */
export function bytesOfHex(hex: string): Buffer {
  if (hex.length > PATH_BYTES_MAX * 2) throw tooLong();
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new Problem(400, 'path-malformed', 'pathHex= takes the bytes of the path as hex digits.');
  return Buffer.from(hex, 'hex');
}

/** Without slashes at the ends, and doubled ones. */
export function joinedPath(segments: readonly Buffer[]): Buffer {
  return Buffer.from(segments.map((segment) => segment.toString('latin1')).join('/'), 'latin1');
}

/** How bytes are shown in JSON: as text, and as hex too where the text is not the whole truth. */
export function shown<Name extends string>(name: Name, bytes: Buffer): Record<string, string> {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { [name]: text } : { [name]: text, [`${name}Hex`]: bytes.toString('hex') };
}

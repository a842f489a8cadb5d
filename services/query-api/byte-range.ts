/** What of a file is to be sent: `whole`, the bytes from `first` to `last` (both of it), or nothing, because there are none there. */
export type ByteRangeAsked =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly first: number; readonly last: number }
  | { readonly kind: 'unsatisfiable' };

const WHOLE = { kind: 'whole' } as const;

/**
 * One range of bytes, as RFC 9110 section 14 has it. What is malformed, in another unit, or several ranges at once, is passed over:
 * the whole is right for whoever asked. So is an If-Range with any other tag than this one, or with a time.
 */
export function byteRangeOf({ range, ifRange }: { readonly range: string | undefined; readonly ifRange: string | undefined }, { bytes, etag }: { readonly bytes: number; readonly etag: string }): ByteRangeAsked {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(range ?? '') ?? [];
  if ((first === '' && last === '') || (ifRange !== undefined && ifRange.trim() !== etag)) return WHOLE;
  if (first === '') return Number(last) === 0 || bytes === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', first: Math.max(0, bytes - Number(last)), last: bytes - 1 };
  if (last !== '' && Number(last) < Number(first)) return WHOLE;
  if (Number(first) >= bytes) return { kind: 'unsatisfiable' };
  return { kind: 'part', first: Number(first), last: last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1) };
}

/**
 * The bytes from `first` to `last` of pieces. All pieces are read, and the last bytes wait for their end: an object's id is known to
 * be right only then, and nothing wrong is given as good. A part of a huge file thus costs the reading of it whole, though not the sending.
 */
export async function* partOf(pieces: AsyncIterable<Buffer>, { first, last }: { readonly first: number; readonly last: number }): AsyncGenerator<Buffer, void, void> {
  let at = 0;
  let held: Buffer | undefined;
  for await (const piece of pieces) {
    const part = piece.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at));
    at += piece.length;
    if (part.length === 0) continue;
    if (held !== undefined) yield held;
    held = part;
  }
  if (held !== undefined) yield held;
}

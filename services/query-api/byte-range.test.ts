import fc from 'fast-check';
import { byteRangeOf, partOf } from './byte-range.ts';

const etag = '"e"';
const asked = (range: string | undefined, bytes = 10, ifRange?: string) => byteRangeOf({ range, ifRange }, { bytes, etag });

test.each<[string | undefined, number, object]>([
  [undefined, 10, { kind: 'whole' }], ['bytes=0-0', 10, { kind: 'part', first: 0, last: 0 }], ['bytes=3-', 10, { kind: 'part', first: 3, last: 9 }], ['bytes=-4', 10, { kind: 'part', first: 6, last: 9 }],
  ['bytes=-40', 10, { kind: 'part', first: 0, last: 9 }], ['bytes=2-99', 10, { kind: 'part', first: 2, last: 9 }], ['Bytes= 1-2', 10, { kind: 'part', first: 1, last: 2 }],
  ['bytes=10-', 10, { kind: 'unsatisfiable' }], ['bytes=-0', 10, { kind: 'unsatisfiable' }], ['bytes=0-', 0, { kind: 'unsatisfiable' }], ['bytes=-1', 0, { kind: 'unsatisfiable' }],
  ['bytes=-', 10, { kind: 'whole' }], ['bytes=5-4', 10, { kind: 'whole' }], ['bytes=0-1,3-4', 10, { kind: 'whole' }], ['lines=0-1', 10, { kind: 'whole' }], ['bytes=a-b', 10, { kind: 'whole' }], ['bytes=-1-2', 10, { kind: 'whole' }],
])('%s of a file of %i bytes', (range, bytes, expected) => { expect(asked(range, bytes)).toEqual(expected); });

test.each([['"e"', 'part'], ['W/"e"', 'whole'], ['"f"', 'whole'], ['Sat, 31 Jan 2026 12:00:00 GMT', 'whole']])('If-Range: %s gives the %s', (ifRange, kind) => {
  expect(asked('bytes=0-1', 10, ifRange).kind).toBe(kind);
});

test('the part of any pieces is that of the whole, and its last bytes wait for the end of all', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 6 }), { minLength: 1, maxLength: 8 }), fc.nat(), fc.nat(), async (given, one, other) => {
    const whole = Buffer.concat(given);
    if (whole.length === 0) return;
    const [first = 0, last = 0] = [one % whole.length, other % whole.length].sort((a, b) => a - b);
    let isAtEnd = false;
    async function* pieces() { for (const piece of given) yield Buffer.from(piece); isAtEnd = true; }
    const taken: Buffer[] = [];
    for await (const piece of partOf(pieces(), { first, last })) {
      taken.push(piece);
      if (Buffer.concat(taken).length === last - first + 1) expect(isAtEnd).toBe(true);
    }
    expect(Buffer.concat(taken)).toEqual(whole.subarray(first, last + 1));
  }));
});

test('damage behind the part is an error, not a part', async () => {
  async function* damaged() { yield Buffer.from('good'); yield Buffer.from('bad'); throw new Error('damaged'); }
  const taken: Buffer[] = [];
  await expect((async () => { for await (const piece of partOf(damaged(), { first: 0, last: 3 })) taken.push(piece); })()).rejects.toThrow('damaged');
  expect(taken).toEqual([]);
});

import { createHash } from 'node:crypto';
import type { ObjectId, PackId } from '#schemas/brand.ts';
import type { BlobFinding, Finding, ObjectIndex, ObjectKind, ObjectPlace, TreeTotals } from './object-index.ts';

export interface OpenedObjectIndex {
  readonly index: ObjectIndex;
  close(): Promise<void>;
}

const NO_FINDINGS = new Map<ObjectId, Finding>();

/** The n-th of any number of objects, always the same. */
export function nthPlace(n: number, { kind = 'blob', pack = 'pack' }: { kind?: ObjectKind; pack?: string } = {}): ObjectPlace {
  return {
    id: createHash(n % 5 === 4 ? 'sha256' : 'sha1').update(`object ${n}`).digest('hex') as ObjectId,
    kind, pack: createHash('sha256').update(pack).digest('hex') as PackId,
    blockOffset: 8 + n * 1_000, blockBytes: 900, placeInBlock: n % 64, bytes: n,
  };
}

const blobFinding = (changes: Partial<BlobFinding> = {}): BlobFinding =>
  ({ kind: 'blob', language: 'TypeScript', lines: 12, isBinary: false, isGenerated: false, isVendored: false, isLfsPointer: false, ...changes });

/** What every object index must do. `open` gives an empty one. */
export function objectIndexContract(adapter: string, open: () => Promise<OpenedObjectIndex>): void {
  describe(`object index: ${adapter}`, () => {
    let opened: OpenedObjectIndex;
    beforeAll(async () => { opened = await open(); });
    afterAll(() => opened.close());

    // One index for all tests: each has objects of its own.
    let next = 1_000_000;
    const some = (count: number, options: { kind?: ObjectKind; pack?: string } = {}) => Array.from({ length: count }, () => nthPlace(next++, options));
    const given = { index: () => opened.index, some };

    describe('places', () => placeTests(given));
    describe('findings', () => findingTests(given));
    describe('recording at once', () => concurrencyTests(given));
  });
}

interface Given {
  index(): ObjectIndex;
  some(count: number, options?: { kind?: ObjectKind; pack?: string }): ObjectPlace[];
}

const idsOf = (places: readonly ObjectPlace[]) => places.map(({ id }) => id);

function placeTests({ index, some }: Given): void {
  test('what was recorded is known, with its place; what was not is absent', async () => {
    const places = [...some(3), ...some(2, { kind: 'tree', pack: 'other' }), ...some(1, { kind: 'commit' })];
    const [unknown] = some(1);
    expect(await index().record(places, NO_FINDINGS)).toEqual({ added: 6 });

    const ids = [...idsOf(places), unknown!.id];
    expect(await index().known(ids)).toEqual(new Set(idsOf(places)));
    expect(await index().places(ids)).toEqual(new Map(places.map((place) => [place.id, place])));
    expect(await index().places([unknown!.id])).toEqual(new Map());
  });

  test('nothing asked gives nothing, nothing recorded adds nothing', async () => {
    expect(await index().known([])).toEqual(new Set());
    expect(await index().places([])).toEqual(new Map());
    expect(await index().findings([])).toEqual(new Map());
    expect(await index().record([], NO_FINDINGS)).toEqual({ added: 0 });
  });

  test('an id asked twice is answered', async () => {
    const [place] = some(1);
    await index().record([place!], NO_FINDINGS);
    expect(await index().known([place!.id, place!.id])).toEqual(new Set([place!.id]));
    expect((await index().places([place!.id, place!.id])).size).toBe(1);
  });

  test('an object already known keeps the place it has, and does not count', async () => {
    const [old, fresh] = some(2);
    await index().record([old!], NO_FINDINGS);
    const moved = { ...old!, pack: nthPlace(0, { pack: 'moved' }).pack, blockOffset: 77 };
    expect(await index().record([moved, fresh!], NO_FINDINGS)).toEqual({ added: 1 });
    expect((await index().places([old!.id])).get(old!.id)).toEqual(old);
  });

  test('an object given twice at once keeps one place, and counts once', async () => {
    const [place] = some(1);
    expect(await index().record([place!, { ...place!, blockOffset: 99 }], NO_FINDINGS)).toEqual({ added: 1 });
    expect((await index().known([place!.id])).size).toBe(1);
  });

  test('sizes and offsets beyond 4 GiB are kept', async () => {
    const [place] = some(1);
    const huge = { ...place!, blockOffset: 2 ** 50, blockBytes: 2 ** 33 + 1, bytes: 2 ** 52 + 1 };
    await index().record([huge], NO_FINDINGS);
    expect((await index().places([huge.id])).get(huge.id)).toEqual(huge);
    expect((await index().findings([huge.id])).get(huge.id)?.bytes).toBe(2 ** 52 + 1);
  });

  test('12,000 objects of three packs go in lazily and are found', async () => {
    const places = [...some(4_000, { pack: 'a' }), ...some(4_000, { pack: 'b' }), ...some(4_000, { pack: 'c' })];
    expect(await index().record((function* () { yield* places; })(), NO_FINDINGS)).toEqual({ added: 12_000 });
    expect((await index().known([...idsOf(places), ...idsOf(some(3_000))])).size).toBe(12_000);
    expect(await index().places(idsOf(places))).toEqual(new Map(places.map((place) => [place.id, place])));
  });

  test('when the objects end in an error, none is recorded', async () => {
    const places = some(5_000);
    const failing = function* () {
      yield* places;
      throw new Error('the pack turned out damaged');
    };
    await expect(index().record(failing(), NO_FINDINGS)).rejects.toThrow('the pack turned out damaged');
    expect((await index().known(idsOf(places))).size).toBe(0);
    expect(await index().record(places, NO_FINDINGS)).toEqual({ added: 5_000 });
  });
}

function findingTests({ index, some }: Given): void {
  test('findings of every kind are given back as they were', async () => {
    const findings: BlobFinding[] = [
      blobFinding(), blobFinding({ language: null, lines: 0 }), blobFinding({ language: null, lines: null, isBinary: true }), blobFinding({ isGenerated: true }),
      blobFinding({ isVendored: true, language: 'C++' }), blobFinding({ isLfsPointer: true }), blobFinding({ lines: 2_000_000_000, isGenerated: true, isVendored: true }),
    ];
    const blobs = some(findings.length);
    const trees = some(3, { kind: 'tree' });
    const totals: TreeTotals[] = [
      { kind: 'tree', files: 0, bytes: 0, languages: {} },
      { kind: 'tree', files: 3, bytes: 2 ** 52 + 1, languages: { TypeScript: 2 ** 52, 'C++': 1 }, counts: { TypeScript: [2, 5], 'C++': [1, 0] } },
      { kind: 'tree', files: 1, bytes: 1, languages: { 'odd\\name\t"quoted"\n': 1, __proto__x: 2 } },
    ];
    const all = new Map<ObjectId, Finding>([...blobs.map(({ id }, n) => [id, findings[n]!] as const), ...trees.map(({ id }, n) => [id, totals[n]!] as const)]);
    await index().record([...blobs, ...trees], all);

    const found = await index().findings(idsOf([...blobs, ...trees]));
    expect(found).toEqual(new Map([...blobs, ...trees].map(({ id, bytes }) => [id, { bytes, finding: all.get(id) }])));
  });

  test('an entry is place and finding together', async () => {
    const [blob, bare] = some(2);
    await index().record([blob!, bare!], new Map([[blob!.id, blobFinding()]]));
    expect(await index().entries([blob!.id, bare!.id, some(1)[0]!.id])).toEqual(new Map([[blob!.id, { place: blob, finding: blobFinding() }], [bare!.id, { place: bare, finding: undefined }]]));
    expect(await index().entries([])).toEqual(new Map());
  });

  test('an object recorded without a finding has none, and an unknown one is absent', async () => {
    const [blob, commit] = [some(1)[0]!, some(1, { kind: 'commit' })[0]!];
    await index().record([blob, commit], NO_FINDINGS);
    expect(await index().findings([blob.id, commit.id, some(1)[0]!.id])).toEqual(new Map([blob, commit].map(({ id, bytes }) => [id, { bytes, finding: undefined }])));
  });

  test('a finding of another kind than its object is refused, and nothing is recorded', async () => {
    const [blob, tree] = [some(1)[0]!, some(1, { kind: 'tree' })[0]!];
    await expect(index().record([blob, tree], new Map([[tree.id, blobFinding()]]))).rejects.toThrow(/finding for tree/);
    expect((await index().known([blob.id, tree.id])).size).toBe(0);
  });

  test('the finding of an object already known stays', async () => {
    const [blob] = some(1);
    await index().record([blob!], new Map([[blob!.id, blobFinding()]]));
    await index().record([blob!], new Map([[blob!.id, blobFinding({ language: 'Perl' })]]));
    expect((await index().findings([blob!.id])).get(blob!.id)?.finding).toEqual(blobFinding());
  });
}

function concurrencyTests({ index, some }: Given): void {
  test('of two who record the same objects in opposite order, each object counts for one; neither fails', async () => {
    for (let round = 0; round < 5; round++) {
      const places = some(3_000, { pack: `round ${round}` });
      const findings = new Map<ObjectId, Finding>(places.map(({ id }, n) => [id, blobFinding({ language: `language ${round} ${n % 20}` })]));
      const results = await Promise.all([places, places.toReversed(), places.slice(1_000), places.toReversed().slice(500)].map((list) => index().record(list, findings)));
      expect(results.reduce((sum, { added }) => sum + added, 0)).toBe(3_000);
      expect((await index().known(idsOf(places))).size).toBe(3_000);
    }
  });
}

import type { SourceId } from '#schemas/brand.ts';
import type { DeliveryArchive } from './delivery-archive.ts';
import type { DeliveryGiven } from './memory-delivery-archive.ts';

const [SOURCE, OTHER] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as [SourceId, SourceId];
const ID = '00000000-0000-4000-8000-00000000000a';
const EMPTY = '00000000-0000-4000-8000-00000000000b';

const KEPT: readonly DeliveryGiven[] = [
  { sourceId: SOURCE, deliveryId: ID, receivedAt: '2026-01-31T12:00:00.123Z', headers: { 'x-gitlab-event': 'Push Hook' }, body: Buffer.from([0, 255, 10, 0x7b]) },
  { sourceId: OTHER, deliveryId: ID, receivedAt: '2026-02-01T12:00:00.000Z', headers: {}, body: Buffer.from('other') },
  { sourceId: SOURCE, deliveryId: EMPTY, receivedAt: '2026-02-01T12:00:00.000Z', headers: {}, body: Buffer.alloc(0) },
];

/** What every archive must do, on the deliveries that ingress would have kept. */
export function deliveryArchiveContract(name: string, open: (kept: readonly DeliveryGiven[]) => Promise<{ archive: DeliveryArchive; close(): Promise<void> }>): void {
  describe(`delivery archive (${name})`, () => {
    let archive: DeliveryArchive;
    let close: () => Promise<void>;
    beforeAll(async () => { ({ archive, close } = await open(KEPT)); });
    afterAll(async () => { await close(); });

    test('a delivery is found by its source and id, its body byte for byte', async () => {
      expect(await archive.find(SOURCE, ID)).toEqual({ receivedAt: '2026-01-31T12:00:00.123Z', headers: { 'x-gitlab-event': 'Push Hook' }, bodyBytes: 4 });
      expect((await archive.body(SOURCE, ID))?.equals(Buffer.from([0, 255, 10, 0x7b]))).toBe(true);
      expect((await archive.body(OTHER, ID))?.toString()).toBe('other');
    });

    test('a body of no bytes is a body', async () => {
      expect([(await archive.find(SOURCE, EMPTY))?.bodyBytes, (await archive.body(SOURCE, EMPTY))?.length]).toEqual([0, 0]);
    });

    test.each([['another id', SOURCE, OTHER], ['another source', EMPTY as SourceId, ID], ['what is no id', SOURCE, 'x\'; --'], ['what is no source', 'x' as SourceId, ID]])('%s is not there', async (_what, source, id) => {
      expect([await archive.find(source, id), await archive.body(source, id)]).toEqual([undefined, undefined]);
    });
  });
}

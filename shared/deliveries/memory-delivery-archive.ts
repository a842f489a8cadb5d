import type { SourceId } from '#schemas/brand.ts';
import type { DeliveryArchive, KeptDelivery } from './delivery-archive.ts';

export interface DeliveryGiven extends Omit<KeptDelivery, 'bodyBytes'> { readonly sourceId: SourceId; readonly deliveryId: string; readonly body: Buffer }

/** Deliveries in this process's memory: for tests. Looks at `all` anew each time. */
export function createMemoryDeliveryArchive(all: readonly DeliveryGiven[]): DeliveryArchive {
  const of = (source: SourceId, id: string) => all.find((one) => one.sourceId === source && one.deliveryId === id);
  return {
    async find(source, id) {
      const found = of(source, id);
      return found === undefined ? undefined : { receivedAt: found.receivedAt, headers: found.headers, bodyBytes: found.body.length };
    },
    body: async (source, id) => of(source, id)?.body,
  };
}

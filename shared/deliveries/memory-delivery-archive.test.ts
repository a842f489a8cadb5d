import { deliveryArchiveContract } from './delivery-archive.contract.ts';
import { createMemoryDeliveryArchive } from './memory-delivery-archive.ts';

deliveryArchiveContract('memory', async (kept) => ({ archive: createMemoryDeliveryArchive(kept), close: async () => undefined }));

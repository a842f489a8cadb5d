import { createMemoryReadStore } from './memory-read-store.ts';
import { readStoreContract } from './read-store.contract.ts';

readStoreContract('memory', async (model) => ({ store: createMemoryReadStore(model), close: async () => {} }));

import type { Position } from '#schemas/brand.ts';
import { createMemoryReadStore } from './memory-read-store.ts';
import { momentsContract } from './moments.contract.ts';
import { readStoreContract } from './read-store.contract.ts';

readStoreContract('memory', async (model) => ({ store: createMemoryReadStore(model), close: async () => {} }));

momentsContract('memory', async (versions) => ({
  store: createMemoryReadStore({ position: '' as Position, sources: [], codebases: [], syncs: [], facts: [], progress: new Map(), unfolded: [], versions }), close: async () => undefined,
}));

import { createMemoryObjectIndex } from './memory-object-index.ts';
import { objectIndexContract } from './object-index.contract.ts';

objectIndexContract('memory', async () => ({ index: createMemoryObjectIndex(), close: async () => {} }));

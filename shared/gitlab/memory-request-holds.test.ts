import { createMemoryRequestHolds } from './memory-request-holds.ts';
import { requestHoldsContract } from './request-holds.contract.ts';

const holds = createMemoryRequestHolds();
requestHoldsContract('memory', () => holds);

import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: [], emits: [], reads: ['read-store', 'object-index', 'event-log', 'bus-parked', 'source-checks'] } as const satisfies Flow;

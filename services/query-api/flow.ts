import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: [], emits: [], reads: ['read-store', 'object-index', 'event-log', 'bus-parked', 'deliveries', 'source-checks', 'identity', 'audit'] } as const satisfies Flow;

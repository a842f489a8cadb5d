import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: ['codebase.fetched'], emits: ['codebase.scanned'], reads: ['object-index', 'sync-stream'] } as const satisfies Flow;

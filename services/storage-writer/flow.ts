import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: ['codebase.scanned'], emits: ['codebase.stored', 'sync.failed'], reads: ['sync-stream'] } as const satisfies Flow;

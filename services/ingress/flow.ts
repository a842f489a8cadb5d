import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: [],
  emits: ['push.received', 'delivery.ignored', 'gitlab.hinted', 'sync.requested', 'source.registered', 'codebase.registered'],
  reads: [],
} as const satisfies Flow;

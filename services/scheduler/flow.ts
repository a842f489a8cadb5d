import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: ['codebase.registered'],
  emits: ['hook.installed', 'hook.refused', 'gap.detected'],
  reads: ['source-directory', 'source-checks', 'codebase-stream', 'read-store', 'bus-parked'],
} as const satisfies Flow;

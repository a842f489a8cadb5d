import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: ['codebase.registered', 'codebase.restored', 'codebase.removed'],
  emits: ['hook.installed', 'hook.refused', 'hook.removed', 'gap.detected', 'codebase.deleted'],
  reads: ['source-directory', 'source-checks', 'codebase-stream', 'read-store', 'bus-parked'],
} as const satisfies Flow;

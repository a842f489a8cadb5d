import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: ['codebase.registered', 'codebase.restored', 'codebase.removed', 'gitlab.hinted'],
  emits: ['hook.installed', 'hook.refused', 'hook.removed', 'gap.detected', 'codebase.deleted', 'codebase.readers-observed'],
  reads: ['source-directory', 'source-checks', 'codebase-stream', 'read-store', 'bus-parked', 'own-access'],
} as const satisfies Flow;

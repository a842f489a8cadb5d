import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: ['codebase.registered', 'codebase.restored', 'codebase.removed'],
  emits: ['hook.installed', 'hook.refused', 'hook.removed', 'codebase.deleted'],
  reads: ['source-directory', 'codebase-stream'],
} as const satisfies Flow;

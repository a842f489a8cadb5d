import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: ['codebase.registered'], emits: ['hook.installed', 'hook.refused'], reads: ['source-directory', 'source-checks', 'codebase-stream'] } as const satisfies Flow;

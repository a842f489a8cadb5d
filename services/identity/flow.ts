import type { Flow } from '#shared/runtime/flow.ts';

export const flow = { consumes: [], emits: ['user.gitlab-bound', 'user.gitlab-unbound', 'bindings.recorded'], reads: ['read-store', 'source-directory'] } satisfies Flow;

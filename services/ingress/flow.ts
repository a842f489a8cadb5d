import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  consumes: [],
  emits: ['push.received', 'delivery.ignored', 'gitlab.hinted', 'sync.requested', 'source.registered', 'codebase.registered',
    'source.changed', 'source.removed', 'codebase.changed', 'codebase.archived', 'codebase.restored', 'codebase.removed',
    'project.created', 'project.renamed', 'project.archived', 'project.restored', 'project.removed', 'project.codebase-added', 'project.codebase-removed',
    'project.member-added', 'project.member-changed', 'project.member-removed', 'project.reading-given', 'project.reading-taken', 'source.open-projects-decided'],
  reads: ['read-store', 'codebase-stream', 'identity'],
} as const satisfies Flow;

import type { Flow } from '#shared/runtime/flow.ts';

export const flow = {
  // `sync.failed` is a declared loop: the next attempt is a new sync whose cause is the failure.
  consumes: ['codebase.registered', 'codebase.changed', 'codebase.restored', 'push.received', 'sync.requested', 'gap.detected', 'sync.failed'],
  emits: ['codebase.fetched', 'sync.skipped', 'ref.deleted', 'ref.unfollowed', 'sync.failed'],
  reads: ['object-index', 'source-directory', 'codebase-stream', 'sync-stream'],
} as const satisfies Flow;

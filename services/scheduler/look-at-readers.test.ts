import { randomUUID } from 'node:crypto';
import { BEGINNING, type GitLabProjectId, type SourceId } from '#schemas/brand.ts';
import { codebaseIdOf } from '#schemas/ids.ts';
import type { GitLab } from '#shared/gitlab/gitlab.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createMemoryReadStore } from '#shared/read-store/memory-read-store.ts';
import { lookAtReaders } from './look-at-readers.ts';

const SOURCE = randomUUID() as SourceId;
const ID = codebaseIdOf(SOURCE, 7 as GitLabProjectId);

test('what GitLab says is compared with what was told last, also while the tables are not there yet: who came and went meanwhile is not left in', async () => {
  const log = createMemoryEventLog();
  const view = { users: [1], beyondMembers: 'nobody' as const, observedAt: '2026-01-01T00:00:00.000Z', revision: 0 };
  // The tables stand at revision 0 all the while: of the second look's word they know nothing.
  const store = createMemoryReadStore({
    position: BEGINNING, sources: [], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [], gitlabReaders: new Map([[ID, view]]),
    codebases: [{ id: ID, sourceId: SOURCE, gitlabProjectId: 7, path: null, followed: { branches: ['*'], tags: [] }, defaultRef: null, hook: { state: 'installed', reason: null, isSigned: true }, registeredAt: view.observedAt, lastHintAt: null, lastWholeHintAt: null, lastObservedAt: null, state: 'active', removedAt: null, revision: 0 }],
  });
  const look = (...users: number[]) => lookAtReaders({ log, store, now: () => new Date() }, {
    id: ID, hint: undefined,
    gitlab: { project: async () => ({ kind: 'ok', value: { beyondMembers: 'nobody' } }), members: async () => ({ kind: 'ok', value: users.map((userId) => ({ userId, level: 20, isActive: true, expiresAt: null })) }) } as unknown as GitLab,
  });
  const empty = createMemoryReadStore({ position: BEGINNING, sources: [], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [], codebases: await store.codebases({ after: '', limit: 1 }) });
  await lookAtReaders({ log, store: empty, now: () => new Date() }, { id: ID, hint: undefined, gitlab: { project: async () => ({ kind: 'ok', value: { beyondMembers: 'nobody' } }), members: async () => ({ kind: 'ok', value: [{ userId: 1, level: 20, isActive: true, expiresAt: null }] }) } as unknown as GitLab });
  expect(await look(1)).toMatchObject({ kind: 'seen', changed: false });
  expect(await look(1, 2)).toMatchObject({ kind: 'seen', changed: true });
  // Equal to what the tables have, and two is still among those that were told.
  expect(await look(1)).toEqual({ kind: 'behind' });
  expect(await look(1, 3)).toEqual({ kind: 'behind' });
});

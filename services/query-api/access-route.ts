import { Router } from 'express';
import type { CodebaseAccess } from '#schemas/api/access.ts';
import { codebaseOf } from './resolve-version.ts';
import type { QueryApiDeps } from './service.ts';

const UNBOUND_SHOWN_MAX = 1_000;

/** `GET /v1/codebases/{id}/access`: who may read it, and why. */
export function accessRoute({ store, people }: Pick<QueryApiDeps, 'store' | 'people'>): Router {
  const router = Router();
  router.get('/v1/codebases/:id/access', async (request, response) => {
    const { id, sourceId } = await codebaseOf(store, request.params['id'], { orRemoved: true });
    const [gitlab, asked, byProject] = await Promise.all([store.gitlabReaders(id), store.readersAsked(id), store.projectReaders(id)]);
    const bound = await store.gitlabUsers(sourceId, gitlab?.users ?? []);
    const names = await people.names([...bound.values(), ...byProject.map(({ userId }) => userId)]);
    const readers: CodebaseAccess['readers'] = [
      ...[...bound].map(([gitlabUserId, userId]) => ({ userId, name: names.get(userId) ?? null, because: 'gitlab' as const, gitlabUserId, project: null })),
      ...byProject.map(({ userId, project, projectName }) => ({ userId, name: names.get(userId) ?? null, because: 'project' as const, gitlabUserId: null, project: { id: project, name: projectName } })),
    ].sort((one, other) => (one.userId < other.userId ? -1 : Number(one.userId > other.userId)));
    response.json({
      codebase: id, readers,
      gitlab: gitlab === undefined ? null : {
        users: gitlab.users.length, unbound: gitlab.users.filter((user) => !bound.has(user)).slice(0, UNBOUND_SHOWN_MAX), beyondMembers: gitlab.beyondMembers, isOpen: gitlab.isOpen, observedAt: gitlab.observedAt,
      },
      askedAt: asked?.askedAt ?? null, trouble: asked?.trouble ?? null,
    } satisfies CodebaseAccess);
  });
  return router;
}

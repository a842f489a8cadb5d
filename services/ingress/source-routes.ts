import { Router, type Request, type RequestHandler } from 'express';
import type { GitLabGroupPage, GitLabProjectPage, ManualHook, SourceCheck } from '#schemas/api/sources.ts';
import { sourceId, type CodebaseId, type GitLabProjectId, type SourceId } from '#schemas/brand.ts';
import { checkSource } from '#schemas/commands/commands.ts';
import { codebaseIdOf, codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import { GitLabRequestError, type Answer, type GitLab, type GitLabAccess } from '#shared/gitlab/gitlab.ts';
import { LIST_PAGE_MAX, placeAsText, placeFromText, type ListPage, type PagePlace } from '#shared/gitlab/list-pages.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { parseBody } from '#shared/runtime/read-body.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkSource as askSource, type CheckSourceDeps } from '#shared/sources/check-source.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { accessOf } from './source-access.ts';

export interface SourceRoutesDeps extends CheckSourceDeps {
  readonly log: Pick<EventLog, 'readStream'>;
  readonly sources: Pick<SourceDirectory, 'access' | 'webhookSecrets'>;
  readonly checks: Pick<SourceChecks, 'keep'>;
}

/** Entries of a page unless told otherwise: what a person looks at. */
const LIMIT_DEFAULT = 50;
/** Appends use the same connections: a page of projects must not take them all. */
const READS_AT_ONCE = 4;
const WORDS_MAX = 1_000;
/** Where in GitLab, and as its forms call the boxes. */
const PUSHES = ['Push events', 'Tag push events'];
const BY_HAND = {
  where: 'Settings → Webhooks', triggers: PUSHES,
  group: { where: 'group → Settings → Webhooks (Premium and Ultimate)', triggers: [...PUSHES, 'Member events', 'Project events', 'Subgroup events'] },
  // Members and projects it tells without being asked.
  system: { where: 'Admin → System hooks (self-managed)', triggers: ['Repository update events', ...PUSHES] },
} satisfies Omit<ManualHook, 'url' | 'secretToken' | 'signingToken'>;

/** What connecting a GitLab asks of it, and of us. Looks too are for the known only: they ask GitLab, and show secrets. */
export function sourceRoutes(deps: SourceRoutesDeps, isKnown: RequestHandler): Router {
  const router = Router();

  router.post('/v1/source-checks', async (request, response) => {
    response.json(await askSource(deps, accessOf(parseBody(checkSource, request.body))));
  });

  router.get('/v1/sources/:id/check', isKnown, async (request, response) => {
    const { source, access } = await sourceOf(deps, request);
    const check: SourceCheck = await askSource(deps, access);
    await deps.checks.keep(source, { check, token: access.token, at: deps.now() });
    response.setHeader('Cache-Control', 'no-store').json(check);
  });

  router.get('/v1/sources/:id/gitlab/groups', isKnown, async (request, response) => {
    const { access } = await sourceOf(deps, request);
    const asked = { search: textOf(request, 'search'), ...pageOf(request) };
    const { entries, next } = await askedOf(access, deps.openGitLab(access), (gitlab) => gitlab.groups(asked));
    response.json({ groups: [...entries], next: nextOf(next) } satisfies GitLabGroupPage);
  });

  router.get('/v1/sources/:id/gitlab/projects', isKnown, async (request, response) => {
    const { source, access } = await sourceOf(deps, request);
    const group = textOf(request, 'group');
    // Without a group GitLab would list every public project that it has: on gitlab.com, millions.
    const asked = { group: group !== undefined && /^\d{1,15}$/.test(group) ? Number(group) : group, includeSubgroups: true, isMember: textOf(request, 'membership') !== 'false', ...pageOf(request) };
    const { entries, next } = await askedOf(access, deps.openGitLab(access), (gitlab) => gitlab.projects(asked));
    const projects = await mapBounded(entries, READS_AT_ONCE, async (project) => ({ ...project, codebaseId: await registeredAs(deps, source, project.id) }));
    response.json({ projects, next: nextOf(next) } satisfies GitLabProjectPage);
  });

  router.get('/v1/sources/:id/manual-hook', isKnown, async (request, response) => {
    const { source } = await sourceOf(deps, request);
    const secrets = await deps.sources.webhookSecrets(source);
    const [secretToken, signingToken] = [secrets?.tokens[0], secrets?.signingTokens[0]];
    if (secretToken === undefined || signingToken === undefined) throw unknownSource();
    const hook: ManualHook = { url: `${deps.publicUrl}/webhooks/gitlab/${source}`, secretToken, signingToken, ...BY_HAND };
    response.setHeader('Cache-Control', 'no-store').json(hook);
  });
  return router;
}

async function sourceOf({ sources }: SourceRoutesDeps, request: Request): Promise<{ source: SourceId; access: GitLabAccess }> {
  const source = sourceId.safeParse(request.params['id']);
  const access = source.success ? await sources.access(source.data) : undefined;
  if (!source.success || access === undefined) throw unknownSource();
  return { source: source.data, access };
}

const unknownSource = () => new Problem(404, 'source-unknown', 'There is no source of this id. GET /v1/sources lists them.');

/** @throws Problem */
async function askedOf<T>(access: GitLabAccess, gitlab: GitLab, ask: (gitlab: GitLab) => Promise<Answer<ListPage<T>>>): Promise<ListPage<T>> {
  try {
    const answer = await ask(gitlab);
    switch (answer.kind) {
      case 'ok': return answer.value;
      case 'absent': throw new Problem(404, 'group-unknown', `GitLab at ${access.baseUrl} shows no such group to our token: ${answer.detail}. Give its id or its full path.`);
      case 'refused': throw new Problem(422, 'source-refused', `GitLab at ${access.baseUrl} refused our token (${answer.status}): ${answer.detail}. GET /v1/sources/{id}/check says what it lacks.`);
      default: return answer satisfies never;
    }
  } catch (error) {
    if (error instanceof GitLabRequestError) throw new Problem(422, 'gitlab-refused', `${error.message}. Narrow the list by a group or a search.`);
    if (!(error instanceof Unavailable)) throw error;
    throw new Problem(503, 'gitlab-away', `GitLab cannot be asked now (${error.message}). Nothing was cut off; ask again for the same page.`, { retryAfterS: Math.max(1, Math.ceil((error.retryAfterMs ?? 10_000) / 1_000)) });
  }
}

/** What was removed can be followed again, as if it never had been. */
async function registeredAs({ log }: SourceRoutesDeps, source: SourceId, project: GitLabProjectId): Promise<CodebaseId | null> {
  const codebase = codebaseIdOf(source, project);
  const state = await readState(log, codebaseStream(codebase), applyToCodebase);
  return state === undefined || state.standing === 'removed' || state.standing === 'deleted' ? null : codebase;
}

function pageOf(request: Request): { limit: number; after: PagePlace | undefined } {
  const [given, limit] = [textOf(request, 'after'), textOf(request, 'limit')];
  const after = given === undefined ? undefined : placeFromText(given);
  if (given !== undefined && after === undefined) throw new Problem(400, 'after-malformed', 'after= takes what the page before gave as "next".');
  if (limit !== undefined && !(/^\d{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= LIST_PAGE_MAX)) {
    throw new Problem(400, 'limit-malformed', `limit= takes a whole number from 1 to ${LIST_PAGE_MAX}: GitLab's largest page.`);
  }
  return { limit: limit === undefined ? LIMIT_DEFAULT : Number(limit), after };
}

const nextOf = (next: PagePlace | null) => (next === null ? null : placeAsText(next));

function textOf(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string' || value.length > WORDS_MAX) throw new Problem(400, 'parameter-malformed', `${name}= takes one text of at most ${WORDS_MAX} characters.`);
  return value;
}

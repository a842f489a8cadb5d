import type { SourceCheck } from '#schemas/api/sources.ts';
import { GitLabRequestError, type Answer, type CurrentUser, type GitLab, type GitLabAccess, type OpenGitLab, type TokenSelf } from '#shared/gitlab/gitlab.ts';
import { Unreachable } from '#shared/gitlab/unreachable.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { adviceFor, adviceOnTheWay, refusalOf, type Found } from './advise-source.ts';

export interface CheckSourceDeps {
  readonly openGitLab: OpenGitLab;
  /** Where GitLab reaches us. */
  readonly publicUrl: string;
  now(): Date;
}

/** People wait for it; a GitLab that takes longer for four small questions is as good as away. */
const CHECK_MS_MAX = 30_000;

/** Asks a GitLab what a credential is good for, and says it in words. Registers, keeps and changes nothing. Never throws Unavailable. */
export async function checkSource(deps: CheckSourceDeps, access: GitLabAccess): Promise<SourceCheck> {
  const about = { baseUrl: access.baseUrl, publicUrl: deps.publicUrl, now: deps.now() };
  const dependency = `gitlab ${new URL(access.baseUrl).origin}`;
  try {
    const found = await withDeadline(askGitLab(deps.openGitLab(access), access.token), { ms: CHECK_MS_MAX, dependency });
    return checkOf(found, adviceFor(found, about));
  } catch (error) {
    const isNoGitLab = error instanceof GitLabRequestError;
    if (!isNoGitLab && !(error instanceof Unavailable)) throw error;
    const advice = adviceOnTheWay(error instanceof Unreachable ? error.obstacle : isNoGitLab ? 'not-gitlab' : 'answer', about);
    return { ...NOTHING_FOUND, state: 'unreachable', detail: `${error.message}. ${advice[0]?.detail ?? ''}`.trim(), advice };
  }
}

const NOTHING_FOUND = {
  gitlab: { version: null },
  token: { kind: 'unknown', name: null, scopes: null, expiresAt: null, user: null },
  can: { readApi: 'unknown', readRepository: 'unknown', makeHooks: 'depends' },
} as const satisfies Partial<SourceCheck>;

/** One question first: a wrong token is told by it, and GitLab counts wrong tokens. @throws Unavailable | GitLabRequestError */
async function askGitLab(gitlab: GitLab, token: string): Promise<Found> {
  const self = await gitlab.tokenSelf();
  const isDeployToken = token.startsWith('gldt-');
  if (self.kind === 'refused') return { kind: 'refused', refusal: self.detail, status: self.status, isDeployToken };

  const [user, version, projects] = await Promise.all([
    gitlab.currentUser(), gitlab.version(), gitlab.projects({ isMember: true, includeSubgroups: false, limit: 1 }),
  ]);
  // Before 15.5 no token could be asked about itself: then the others must know it.
  if (self.kind === 'absent' && user.kind === 'refused' && user.status === 401) return { kind: 'refused', refusal: user.detail, status: 401, isDeployToken };
  if (self.kind === 'absent' && user.kind === 'absent' && version.kind === 'absent') {
    throw new GitLabRequestError('find the API of a GitLab there', 404, user.detail);
  }
  const told = valueOf(self) ?? undefined;
  return {
    kind: 'known',
    version: valueOf(version) ?? null,
    tokenKind: kindOf(self, valueOf(user)),
    self: told,
    user: valueOf(user),
    readApi: projects.kind === 'ok' ? 'yes' : projects.kind === 'refused' ? 'no' : 'unknown',
    refusal: projects.kind === 'ok' ? null : projects.detail,
  };
}

function kindOf(self: Answer<TokenSelf | null>, user: CurrentUser | undefined): SourceCheck['token']['kind'] {
  if (self.kind !== 'ok') return 'unknown';
  if (self.value === null) return 'oauth';
  if (user === undefined) return 'unknown';
  // The names that GitLab gives to the users of such tokens.
  const owner = user.isBot ? /^(project|group)_\d+_bot/.exec(user.username)?.[1] : undefined;
  return owner === 'project' || owner === 'group' ? owner : 'personal';
}

const valueOf = <T>(answer: Answer<T>): T | undefined => (answer.kind === 'ok' ? answer.value : undefined);

function checkOf(found: Found, advice: SourceCheck['advice']): SourceCheck {
  if (found.kind === 'refused') {
    const token = { ...NOTHING_FOUND.token, kind: found.isDeployToken ? 'deploy' as const : 'unknown' as const };
    return { ...NOTHING_FOUND, token, can: { readApi: 'no', readRepository: 'unknown', makeHooks: 'no' }, state: 'refused', detail: refusalOf(found), advice };
  }
  const { self, user, tokenKind: kind, version, readApi } = found;
  const scopes = self === undefined ? null : [...self.scopes];
  return {
    state: readApi === 'no' ? 'refused' : 'ok',
    detail: readApi === 'no' ? refusalOf(found) : `GitLab ${version ?? 'of an unknown version'} takes the token.`,
    gitlab: { version },
    token: {
      kind, name: self?.name ?? null, scopes, expiresAt: self?.expiresAt ?? null,
      user: user === undefined ? null : { username: user.username, isAdmin: user.isAdmin },
    },
    can: { readApi, ...rightsOf(scopes, { isAdmin: user?.isAdmin === true }) },
    advice,
  };
}

/** `granular` stands for permissions that are told nowhere here. */
function rightsOf(scopes: readonly string[] | null, { isAdmin }: { isAdmin: boolean }): Pick<SourceCheck['can'], 'readRepository' | 'makeHooks'> {
  if (scopes === null || scopes.includes('granular')) return { readRepository: 'unknown', makeHooks: 'depends' };
  // Each of them lets git fetch (gitlab.md 7.1).
  const readRepository = ['read_repository', 'write_repository', 'api', 'read_api'].some((scope) => scopes.includes(scope)) ? 'yes' : 'no';
  return { readRepository, makeHooks: !scopes.includes('api') ? 'no' : isAdmin ? 'yes' : 'depends' };
}

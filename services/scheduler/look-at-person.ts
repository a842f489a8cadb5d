import type { CodebaseId, GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { readersStream } from '#schemas/ids.ts';
import type { GitLab } from '#shared/gitlab/gitlab.ts';
import type { CodebaseView, GitLabReadersView, ReadStore } from '#shared/read-store/read-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { differenceOfOne, whereToAsk, type FollowedCodebase } from './decide-own-reads.ts';
import { READS_CODE_FROM } from './decide-readers.ts';
import { membersWhoRead, readersFacts, type ReaderLookDeps } from './look-at-readers.ts';

export interface PersonLookDeps extends ReaderLookDeps {
  readonly store: ReaderLookDeps['store'] & Pick<ReadStore, 'readBy'>;
}

/** What came of asking a project, when it was no gain or loss. */
export interface Doubts {
  /** GitLab said so: for a while it is not asked about again. */
  isNotSo(codebase: FollowedCodebase): boolean;
  /** GitLab did not answer: asked again with each look, a few at once. Who was asked longest ago comes first. */
  unanswered(): readonly CodebaseId[];
  keep(codebase: FollowedCodebase, what: 'not so' | 'unanswered' | 'nothing'): void;
}

export interface PersonAsked {
  readonly sourceId: SourceId;
  readonly gitlabUserId: number;
  /** As the person, and as the source. */
  readonly own: Pick<GitLab, 'ownProjects'>;
  readonly gitlab: Pick<GitLab, 'member' | 'members'>;
  /** The codebases of that GitLab. */
  readonly followed: readonly FollowedCodebase[];
  readonly doubts: Doubts;
}

export type PersonLook =
  /** `isWhole` is false where there is more to ask than is asked at once, or another look was quicker: the rest comes with the next look. */
  | { readonly kind: 'seen'; readonly askedAt: string; readonly requests: number; readonly changed: number; readonly isWhole: boolean }
  /** GitLab did not say to the person's token: expired, taken back, blocked, throttled, cut, away. It proves nothing, and they read what they read (I8). */
  | { readonly kind: 'unanswered'; readonly detail: string; readonly retryAfterMs: number | undefined };

const PER_PAGE = 100;
/** Of requests as the source: so that who is put into a group of a thousand projects, or out of it, does not take the budget of a minute. What is begun is ended. */
const CONFIRMING_AT_ONCE_MAX = 20;
/** Of those that did not answer before: what the source's token is never shown takes no more than this of each look. */
const AGAIN_AT_ONCE_MAX = 5;

/**
 * Asks GitLab, as a person, what they read, and the projects where that is other than what we hold of them, as the source. Each of the two
 * alone proves nothing: only where the source's own token is told of a gain or a loss is it one, and a loss only where it is shown who is in the project. @throws Unavailable when the source is to pause
 */
export async function lookAtPerson(deps: PersonLookDeps, { sourceId, gitlabUserId, own, gitlab, followed, doubts }: PersonAsked): Promise<PersonLook> {
  // Before GitLab is asked: what another look finds meanwhile is no difference then.
  const held = new Set(await deps.store.readBy(sourceId, gitlabUserId));
  const asked = deps.now();
  const listed = await listOf(own);
  if (listed.kind === 'unanswered') return listed;
  const differing = whereToAsk({ listed: new Set(listed.projects), held, followed }).filter((codebase) => !doubts.isNotSo(codebase));
  const turnOf = new Map(doubts.unanswered().map((id, turn) => [id, turn]));
  const first = differing.filter(({ id }) => !turnOf.has(id));
  const again = differing.filter(({ id }) => turnOf.has(id)).sort((a, b) => (turnOf.get(a.id) ?? 0) - (turnOf.get(b.id) ?? 0)).slice(0, AGAIN_AT_ONCE_MAX);
  let [sent, changed, isWhole] = [0, 0, true];
  for (const [place, codebase] of [...first, ...again].entries()) {
    const known = await knownOf(deps, codebase);
    if (known === undefined) continue;
    if (sent >= CONFIRMING_AT_ONCE_MAX) {
      isWhole &&= place >= first.length;
      break;
    }
    const { found, requests } = await confirm(deps, { ...known, gitlabUserId, gitlab });
    sent += requests;
    if (found === 'changed') changed += 1;
    else if (found === 'behind') isWhole = false;
    doubts.keep(codebase, found === 'same' ? 'not so' : found === 'unanswered' ? 'unanswered' : 'nothing');
  }
  // GitLab says with an empty page that there is no more.
  return { kind: 'seen', askedAt: asked.toISOString(), requests: Math.floor(listed.projects.length / PER_PAGE) + 2 + sent, changed, isWhole };
}

/** That GitLab throttles a person, or is away for them, is nothing about the source. */
async function listOf(own: PersonAsked['own']): Promise<{ readonly kind: 'listed'; readonly projects: readonly GitLabProjectId[] } | Extract<PersonLook, { kind: 'unanswered' }>> {
  try {
    const answer = await own.ownProjects({ minLevel: READS_CODE_FROM });
    return answer.kind === 'ok' ? { kind: 'listed', projects: answer.value } : { kind: 'unanswered', detail: answer.detail, retryAfterMs: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { kind: 'unanswered', detail: error.message, retryAfterMs: error.retryAfterMs };
    throw error;
  }
}

interface Known { readonly codebase: CodebaseView; readonly before: GitLabReadersView }

/** What a fact will be told against, as of before GitLab is asked: when the stream moves on meanwhile, it is refused. Undefined where nothing was learnt yet: the sweep asks first. */
async function knownOf({ store }: PersonLookDeps, { id }: FollowedCodebase): Promise<Known | undefined> {
  const [codebase, before] = [await store.codebase(id), await store.gitlabReaders(id)];
  return before === undefined || (codebase?.state !== 'active' && codebase?.state !== 'archived') ? undefined : { codebase, before };
}

type Found = 'changed' | 'same' | 'behind' | 'unanswered';

async function confirm(deps: PersonLookDeps, { codebase, before, gitlabUserId, gitlab }: Known & Pick<PersonAsked, 'gitlabUserId' | 'gitlab'>): Promise<{ readonly found: Found; readonly requests: number }> {
  const asked = deps.now();
  const project = codebase.gitlabProjectId as GitLabProjectId;
  const answer = await told(() => gitlab.member(project, gitlabUserId));
  if (answer?.kind !== 'ok') return { found: 'unanswered', requests: 1 };
  const difference = differenceOfOne(before, { gitlabUserId, member: answer.value, today: asked.toISOString().slice(0, 10) });
  if (difference === undefined) return { found: 'same', requests: 1 };
  let requests = 1;
  if (difference.revoked.length > 0) {
    // To a token that is shown no member, nobody is one: a loss is one only where the sweep would take it for one (I8).
    const all = await told(() => membersWhoRead(gitlab, { project, asked }));
    requests += all?.kind === 'told' ? all.requests : 1;
    if (all?.kind !== 'told' || all.users.includes(gitlabUserId)) return { found: 'unanswered', requests };
  }
  const appended = await deps.log.append(readersStream(codebase.id), before.revision, readersFacts(codebase, difference, { observedAt: asked, hint: undefined }));
  return { found: appended.kind === 'appended' ? 'changed' : 'behind', requests };
}

/** One project that GitLab fails at is nothing about the others; a pause that it asks for is about all. @throws Unavailable */
async function told<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Unavailable && error.retryAfterMs === undefined) return undefined;
    throw error;
  }
}

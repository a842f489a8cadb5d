import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import { readersStream } from '#schemas/ids.ts';
import type { GitLab } from '#shared/gitlab/gitlab.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { differenceOfOne, whereToAsk, type FollowedCodebase } from './decide-own-reads.ts';
import { READS_CODE_FROM } from './decide-readers.ts';
import { readersFacts, type ReaderLookDeps } from './look-at-readers.ts';

export interface PersonLookDeps extends ReaderLookDeps {
  readonly store: ReaderLookDeps['store'] & Pick<ReadStore, 'readBy'>;
}

/** What GitLab said was not so, when its project was asked: for a while it is not asked about again. */
export interface Doubts {
  has(codebase: FollowedCodebase): boolean;
  add(codebase: FollowedCodebase): void;
}

export interface PersonAsked {
  readonly sourceId: SourceId;
  readonly gitlabUserId: number;
  /** As the person, and as the source. */
  readonly own: Pick<GitLab, 'ownProjects'>;
  readonly gitlab: Pick<GitLab, 'member'>;
  /** The codebases of that GitLab. */
  readonly followed: readonly FollowedCodebase[];
  readonly doubts: Doubts;
}

export type PersonLook =
  /** `isWhole` is false where there is more to ask than is asked at once, or something was away: the rest comes with the next look. */
  | { readonly kind: 'seen'; readonly askedAt: string; readonly requests: number; readonly changed: number; readonly isWhole: boolean }
  /** GitLab did not say to the person's token: expired, taken back, blocked, throttled, cut, away. It proves nothing, and they read what they read (I8). */
  | { readonly kind: 'unanswered'; readonly detail: string; readonly retryAfterMs: number | undefined };

const PER_PAGE = 100;
/** So that who is put into a group of a thousand projects does not take the budget of a minute. */
const CONFIRMED_AT_ONCE_MAX = 20;

/**
 * Asks GitLab, as a person, what they read, and the projects where that is other than what we hold of them, as the source. Each of the two
 * alone proves nothing: only where the source's own token is told of a gain or a loss is it one. @throws Unavailable of what the source is asked
 */
export async function lookAtPerson(deps: PersonLookDeps, { sourceId, gitlabUserId, own, gitlab, followed, doubts }: PersonAsked): Promise<PersonLook> {
  // Before GitLab is asked: what another look finds meanwhile is no difference then.
  const held = new Set(await deps.store.readBy(sourceId, gitlabUserId));
  const asked = deps.now();
  const listed = await listOf(own);
  if (listed.kind === 'unanswered') return listed;
  const differing = whereToAsk({ listed: new Set(listed.projects), held, followed }).filter((codebase) => !doubts.has(codebase));
  let [changed, isWhole] = [0, differing.length <= CONFIRMED_AT_ONCE_MAX];
  const confirmed = differing.slice(0, CONFIRMED_AT_ONCE_MAX);
  for (const codebase of confirmed) {
    const found = await confirm(deps, { codebase, gitlabUserId, gitlab });
    if (found === 'changed') changed += 1;
    else if (found === 'behind') isWhole = false;
    else if (found === 'same') doubts.add(codebase);
  }
  // GitLab says with an empty page that there is no more.
  return { kind: 'seen', askedAt: asked.toISOString(), requests: Math.floor(listed.projects.length / PER_PAGE) + 2 + confirmed.length, changed, isWhole };
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

async function confirm(deps: PersonLookDeps, { codebase: { id, gitlabProjectId }, gitlabUserId, gitlab }: Pick<PersonAsked, 'gitlabUserId' | 'gitlab'> & { readonly codebase: FollowedCodebase }): Promise<'changed' | 'same' | 'behind' | 'unanswered'> {
  const codebase = await deps.store.codebase(id);
  // What a fact will be told against, as of before GitLab is asked: when the stream moves on meanwhile, it is refused.
  const before = await deps.store.gitlabReaders(id);
  // Of which nothing was learnt yet, the sweep asks first.
  if (before === undefined || (codebase?.state !== 'active' && codebase?.state !== 'archived')) return 'unanswered';
  const asked = deps.now();
  const answer = await gitlab.member(gitlabProjectId, gitlabUserId);
  if (answer.kind !== 'ok') return 'unanswered';
  const difference = differenceOfOne(before, { gitlabUserId, member: answer.value, today: asked.toISOString().slice(0, 10) });
  if (difference === undefined) return 'same';
  const appended = await deps.log.append(readersStream(id), before.revision, readersFacts(codebase, difference, { observedAt: asked, hint: undefined }));
  return appended.kind === 'appended' ? 'changed' : 'behind';
}

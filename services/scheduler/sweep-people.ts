import type { CodebaseId, GitLabProjectId, SourceId } from '#schemas/brand.ts';
import type { OpenGitLab } from '#shared/gitlab/gitlab.ts';
import type { ActivePerson, OwnAccess } from '#shared/identity/own-access.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';
import { bySource } from './by-source.ts';
import type { FollowedCodebase } from './decide-own-reads.ts';
import { lookAtPerson, type Doubts, type PersonLook, type PersonLookDeps } from './look-at-person.ts';
import type { PeopleLooks } from './people-looks.ts';
import { elapsedMs } from './plan-looks.ts';
import { askedInPart, dueReaders, peopleBoundMs, PUT_OFF_MS_MAX, wantedPerMinute } from './plan-readers.ts';
import { PEOPLE_SHARE, type ReadersBudgets } from './readers-budgets.ts';

export interface PeopleSweepDeps extends PersonLookDeps {
  readonly store: PersonLookDeps['store'] & Pick<ReadStore, 'codebases'>;
  readonly ownAccess: OwnAccess;
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly openGitLab: OpenGitLab;
  readonly peopleLooks: PeopleLooks;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Who is due is asked this often. */
const TICK_MS = 1_000;
/** Who is active, who let us, and which codebases there are, is seen within it. */
const ROSTER_EVERY_MS = 5_000;
const CODEBASES_A_PAGE = 1_000;
/** Of one source at a time. */
const LOOKS_AT_ONCE = 2;
/** After GitLab did not answer; doubled with each further time. */
const FAILED_WAIT_MS = 5_000;
/** A list of one page, and the empty one behind it. */
const REQUESTS_AT_FIRST = 2;

interface Person { readonly of: ActivePerson; askedAt: number | null; isWhole: boolean; nextAt: number | null; requests: number; failures: number; isBusy: boolean; readonly doubts: PersonDoubts }
/** Unanswered in the order in which they were asked. */
interface PersonDoubts { readonly notSoUntil: Map<CodebaseId, number>; readonly unanswered: Set<CodebaseId> }
type People = ReadonlyMap<string, Person>;
interface Roster { readonly people: People; readonly followed: ReadonlyMap<SourceId, readonly FollowedCodebase[]> }
interface Round { readonly deps: PeopleSweepDeps; readonly budgets: ReadersBudgets; readonly underWay: Map<SourceId, number>; readonly followed: Roster['followed'] }

/** Asks GitLab what active people read, by their own tokens. Until told to stop; resolves once what was begun has ended. */
export async function sweepPeople(deps: PeopleSweepDeps, { budgets, everyMs }: { readonly budgets: ReadersBudgets; readonly everyMs: number }, signal: AbortSignal): Promise<void> {
  const [inHand, underWay, told] = [new Set<Promise<void>>(), new Map<SourceId, number>(), new Map<SourceId, string>()];
  let roster: Roster = { people: new Map(), followed: new Map() };
  let [rosterAt, hasForgotten] = [-Infinity, false];
  while (!signal.aborted) {
    try {
      const now = deps.now().getTime();
      if (elapsedMs(rosterAt, now) >= Math.min(ROSTER_EVERY_MS, everyMs)) {
        if (!hasForgotten) await deps.peopleLooks.forgetAll();
        hasForgotten = true;
        roster = await loadRoster(deps, roster.people);
        rosterAt = now;
        await tellBounds(deps, { people: roster.people, budgets, everyMs, told });
      }
      const waiting = [...roster.people].filter(([, one]) => one.of.grantId !== null && !one.isBusy);
      for (const { person } of dueReaders(waiting.map(([id, person]) => ({ ...person, id, person, askedAt: askedFor(person, { now, everyMs }), hintedAt: null, isOwnHint: false })), { now, everyMs })) {
        const { sourceId } = person.of;
        if ((underWay.get(sourceId) ?? 0) >= LOOKS_AT_ONCE || !budgets.takeForPerson(sourceId, person.requests, now)) continue;
        const working = lookAt({ deps, budgets, underWay, followed: roster.followed }, person).finally(() => inHand.delete(working));
        inHand.add(working);
      }
    } catch (error) {
      deps.logger.warn({ error }, 'asking what people read waits');
      await deps.sleep(FAILED_WAIT_MS, signal);
    }
    await deps.sleep(TICK_MS, signal);
  }
  await Promise.all(inHand);
}

/** @throws Unavailable */
async function loadRoster({ ownAccess, store }: PeopleSweepDeps, before: People): Promise<Roster> {
  const people = new Map<string, Person>();
  for (const of of await ownAccess.people()) {
    const id = `${of.sourceId} ${of.gitlabUserId}`;
    const known = before.get(id);
    // By another grant they are asked at once: they have signed in.
    people.set(id, known === undefined || known.of.grantId !== of.grantId ? { of, askedAt: null, isWhole: true, nextAt: null, requests: known?.requests ?? REQUESTS_AT_FIRST, failures: 0, isBusy: false, doubts: { notSoUntil: new Map(), unanswered: new Set() } } : known);
  }
  const codebases: (FollowedCodebase & { readonly sourceId: SourceId })[] = [];
  for (let after = ''; [...people.values()].some(({ of }) => of.grantId !== null);) {
    const page = await store.codebases({ after, limit: CODEBASES_A_PAGE });
    codebases.push(...page.map(({ id, sourceId, gitlabProjectId }) => ({ id, sourceId, gitlabProjectId: gitlabProjectId as GitLabProjectId })));
    const last = page.at(-1);
    if (last === undefined || page.length < CODEBASES_A_PAGE) break;
    after = last.id;
  }
  return { people, followed: bySource(codebases) };
}

/** Not whole: again, when those are through who were asked longer ago. */
const askedFor = ({ askedAt, isWhole }: Person, times: { readonly now: number; readonly everyMs: number }) => (askedAt === null || isWhole ? askedAt : askedInPart(askedAt, times));

async function lookAt(round: Round, person: Person): Promise<void> {
  const { deps, budgets, underWay } = round;
  const { sourceId } = person.of;
  person.isBusy = true;
  underWay.set(sourceId, (underWay.get(sourceId) ?? 0) + 1);
  try {
    const look = await ask(round, person);
    const now = deps.now().getTime();
    if (look.kind === 'seen') {
      budgets.owedForPerson(sourceId, Math.max(0, look.requests - person.requests), now);
      Object.assign(person, { askedAt: Date.parse(look.askedAt), isWhole: look.isWhole, nextAt: null, failures: 0, requests: look.isWhole ? look.requests : person.requests });
    } else {
      const waitMs = Math.min(PUT_OFF_MS_MAX, Math.max(look.retryAfterMs ?? 0, FAILED_WAIT_MS * 2 ** Math.min(person.failures, 20)));
      Object.assign(person, { failures: person.failures + 1, nextAt: now + waitMs });
      deps.logger.info({ source: sourceId, userId: person.of.userId, detail: look.detail }, 'GitLab did not say to a person\'s token what they read');
    }
  } finally {
    person.isBusy = false;
    underWay.set(sourceId, (underWay.get(sourceId) ?? 1) - 1);
  }
}

/** What is not answered changes nothing but when it is asked next (I8). */
async function ask({ deps, budgets, followed }: Round, { of, doubts }: Person): Promise<PersonLook> {
  const unanswered = (detail: string): PersonLook => ({ kind: 'unanswered', detail, retryAfterMs: undefined });
  try {
    const [access, token] = [await deps.sources.access(of.sourceId), await deps.ownAccess.token(of)];
    if (access === undefined || token === undefined) return unanswered('nobody is asked there any more');
    return await lookAtPerson(deps, {
      ...of, own: deps.openGitLab({ ...access, token }), gitlab: deps.openGitLab(access), followed: followed.get(of.sourceId) ?? [], doubts: doubtsOf(doubts, () => deps.now().getTime()),
    });
  } catch (error) {
    if (!(error instanceof Unavailable)) deps.logger.error({ error, source: of.sourceId }, 'a look at what a person reads failed');
    // Of what the source's own token asked.
    else if (error.retryAfterMs !== undefined) budgets.of(of.sourceId, deps.now().getTime()).hold(deps.now().getTime(), error.retryAfterMs, error.message);
    return unanswered(error instanceof Unavailable ? error.message : 'the look failed');
  }
}

function doubtsOf({ notSoUntil, unanswered }: PersonDoubts, now: () => number): Doubts {
  return {
    isNotSo({ id }) {
      const end = notSoUntil.get(id);
      // One that lies further ahead was set by another clock.
      if (end !== undefined && end > now() && end <= now() + PUT_OFF_MS_MAX) return true;
      notSoUntil.delete(id);
      return false;
    },
    unanswered: () => [...unanswered],
    keep({ id }, what) {
      unanswered.delete(id);
      if (what === 'unanswered') unanswered.add(id);
      else if (what === 'not so') notSoUntil.set(id, now() + PUT_OFF_MS_MAX);
    },
  };
}

interface Telling { readonly people: People; readonly budgets: ReadersBudgets; readonly everyMs: number; readonly told: Map<SourceId, string> }

async function tellBounds(deps: PeopleSweepDeps, { people, budgets, everyMs, told }: Telling): Promise<void> {
  const sources = bySource([...people.values()].map((person) => ({ ...person, sourceId: person.of.sourceId })));
  for (const [source, all] of sources) {
    const letting = all.filter(({ of }) => of.grantId !== null);
    const boundSeconds = Math.ceil(peopleBoundMs(letting, { requestsPerMinute: budgets.requestsPerMinute * PEOPLE_SHARE, everyMs }) / 1_000);
    budgets.people.set(source, wantedPerMinute(letting, everyMs));
    const now = { active: all.length, asked: letting.filter(({ askedAt, isWhole, failures }) => askedAt !== null && isWhole && failures === 0).length, boundSeconds };
    if (told.get(source) === JSON.stringify(now)) continue;
    await deps.peopleLooks.paced(source, now);
    told.set(source, JSON.stringify(now));
  }
  for (const source of [...told.keys()].filter((one) => !sources.has(one))) {
    await deps.peopleLooks.forget(source);
    budgets.people.delete(source);
    told.delete(source);
  }
}

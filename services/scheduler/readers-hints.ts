import type { GitLabProjectId, SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import type { ReadersHint } from './look-at-readers.ts';

export interface Hinted { readonly at: number; readonly hint: ReadersHint; readonly isOwn: boolean }

/** What webhooks told of members and projects, as far as a look has not followed. */
export interface ReadersHints {
  /** The newest about this project, or about something above many. */
  of(source: SourceId, project: GitLabProjectId): Hinted | undefined;
  /** Every codebase was asked about since. */
  forget(before: number): void;
}

export interface HintDeps {
  readonly log: Pick<EventLog, 'subscribe' | 'readStream'>;
  readonly store: Pick<ReadStore, 'newestFacts' | 'position'>;
  now(): Date;
}

/** Told while nobody swept. Beyond it, the sweep itself comes round. */
const BEFORE_MAX = 1_000;
const READS_AT_ONCE = 4;

/** Follows the log until the signal aborts; what was told before is looked up first. @throws Unavailable */
export async function followReadersHints(deps: HintDeps, signal: AbortSignal): Promise<{ hints: ReadersHints; following: Promise<void> }> {
  const known = new Map<string, Hinted>();
  const take = (fact: Fact, at: number) => {
    if (fact.type !== 'gitlab.hinted') return;
    const { sourceId, gitlabProjectId } = fact.data;
    known.set(keyOf(sourceId, gitlabProjectId), { at, hint: { id: fact.id, correlationId: fact.correlationId }, isOwn: gitlabProjectId !== null });
  };
  const after = await deps.store.position();
  const marks = await deps.store.newestFacts({ types: ['gitlab.hinted'], limit: BEFORE_MAX });
  const facts = await mapBounded([...marks].reverse(), READS_AT_ONCE, async ({ stream, revision }) => (await deps.log.readStream(stream, { from: revision, limit: 1 }))[0]);
  for (const fact of facts) if (fact !== undefined) take(fact as Recorded as unknown as Fact, Date.parse(fact.time));

  return {
    hints: {
      of(source, project) {
        const [own, all] = [known.get(keyOf(source, project)), known.get(keyOf(source, null))];
        return own === undefined || (all !== undefined && all.at > own.at) ? all : own;
      },
      forget(before) { for (const [key, { at }] of known) if (at < before) known.delete(key); },
    },
    following: follow(),
  };

  async function follow(): Promise<void> {
    // By our own clock: that of who took the webhook may be another.
    for await (const batch of deps.log.subscribe({ after, prefixes: ['delivery-'], signal })) for (const fact of batch.facts) take(fact as unknown as Fact, deps.now().getTime());
  }
}

const keyOf = (source: SourceId, project: GitLabProjectId | null) => `${source} ${project ?? 'all'}`;

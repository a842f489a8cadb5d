import { BEGINNING, type CodebaseId, type Position, type SourceId, type StreamName } from '#schemas/brand.ts';
import { parseFact, type Fact } from '#schemas/events/facts.ts';
import { codebaseStream, PEOPLE_RECORDED, peopleStream, projectStream, readersStream, sourceStream } from '#schemas/ids.ts';
import { factsOf } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';

export interface ReadAccessDeps {
  readonly log: Pick<EventLog, 'readStream'>;
  readonly store: Pick<ReadStore, 'projectsEver' | 'facts' | 'codebases'>;
}

/** Appends use the same connections. */
const READS_AT_ONCE = 4;
/** Kept in memory for one answer: some 50 MB at most. A codebase's whole history is a few hundred; a source of 10,000 people, each bound twice, 20,000. */
const FACTS_MAX = 50_000;
const PROJECTS_MAX = 1_000;
const SOURCES_MAX = 1_000;
const ASKED = { bound: 'user.gitlab-bound', opened: 'source.open-projects-decided' } as const;
const STATES = ['active', 'archived', 'removed', 'deleted'] as const;

/**
 * Every fact up to `until` that says who could read this codebase, in log order, from the streams that they stand in: its own, its
 * readers', its source's and of the people there, and of every project that it was ever in. Undefined: it was never registered.
 * @throws Problem 422 when they are too many
 */
export async function factsOfCodebase({ log, store }: ReadAccessDeps, codebase: CodebaseId, until: Position): Promise<Fact[] | undefined> {
  const first = (await log.readStream(codebaseStream(codebase), { limit: 1 })).map((one) => parseFact(one))[0];
  if (first?.type !== 'codebase.registered') return undefined;
  const { sourceId } = first.data;
  const projects = await store.projectsEver({ codebase });
  mustFit(projects.length, PROJECTS_MAX, 'projects');
  return readAll(log, [codebaseStream(codebase), readersStream(codebase), sourceStream(sourceId), peopleStream(sourceId), ...projects.map(projectStream)], until);
}

export interface OfSomebody {
  readonly facts: readonly Fact[];
  /** Nothing of them stands in any fact. */
  readonly isUnheard: boolean;
  /** The last codebase that was looked at, where there are more. */
  readonly last: CodebaseId | undefined;
}

/**
 * The same of somebody: of the projects that they were ever in, the sources where they were ever somebody, or that were ever opened
 * to whoever is signed in; and of so many of the codebases that may matter for it, by id.
 */
export async function factsOfSomebody({ log, store }: ReadAccessDeps, user: string, { until, after, limit }: { readonly until: Position; readonly after: string; readonly limit: number }): Promise<OfSomebody> {
  const [projects, bound, opened] = await Promise.all([
    store.projectsEver({ user }), store.facts({ key: user, type: ASKED.bound, after: BEGINNING, limit: SOURCES_MAX }),
    store.facts({ type: ASKED.opened, after: BEGINNING, limit: SOURCES_MAX }),
  ]);
  mustFit(projects.length, PROJECTS_MAX, 'projects');
  mustFit(bound.length, SOURCES_MAX - 1, 'bindings');
  mustFit(opened.length, SOURCES_MAX - 1, 'decisions about open projects');
  const sources = [...new Set([...bound.map(({ stream }) => stream.slice(stream.indexOf('-') + 1)), ...opened.map(({ key }) => key)])] as SourceId[];
  const around = await readAll(log, [...projects.map(projectStream), ...sources.flatMap((source) => [sourceStream(source), peopleStream(source)])], until);
  const candidates = await codebasesBehind(store, { after, limit: limit + 1, sources, around });
  const looked = candidates.slice(0, limit);
  const facts = [...around, ...await readAll(log, looked.flatMap((id) => [codebaseStream(id), readersStream(id)]), until)].sort(byPosition);
  mustFit(facts.length, FACTS_MAX, 'facts');
  return { facts, isUnheard: projects.length === 0 && bound.length === 0, last: candidates.length > limit ? looked.at(-1) : undefined };
}

/** The fact from which on the bindings of an upgraded engine are recorded; undefined of one that recorded them from the beginning. */
export async function bindingsRecordedAt(log: Pick<EventLog, 'readStream'>): Promise<Position | undefined> {
  return (await log.readStream(PEOPLE_RECORDED, { limit: 1 }))[0]?.position;
}

interface Behind { readonly after: string; readonly limit: number; readonly sources: readonly SourceId[]; readonly around: readonly Fact[] }

async function codebasesBehind(store: ReadAccessDeps['store'], { after, limit, sources, around }: Behind): Promise<CodebaseId[]> {
  const inProjects = around.flatMap((fact) => (fact.type === 'project.codebase-added' && fact.data.codebaseId > after ? [fact.data.codebaseId] : []));
  const ofSources = await mapBounded(sources, READS_AT_ONCE, (source) => store.codebases({ source, after, limit, states: STATES }));
  return [...new Set([...inProjects, ...ofSources.flat().map(({ id }) => id)])].sort().slice(0, limit);
}

async function readAll(log: ReadAccessDeps['log'], streams: readonly StreamName[], until: Position): Promise<Fact[]> {
  let count = 0;
  const found = await mapBounded(streams, READS_AT_ONCE, async (stream) => {
    const facts: Fact[] = [];
    for await (const fact of factsOf(log, stream)) {
      if (fact.position > until) break;
      facts.push(fact);
      mustFit(count += 1, FACTS_MAX, 'facts');
    }
    return facts;
  });
  return found.flat().sort(byPosition);
}

/** @throws Problem 422 */
function mustFit(count: number, max: number, what: string): void {
  if (count > max) throw new Problem(422, 'history-too-long', `This is told by more than ${max.toLocaleString('en')} ${what}, and not answered in one piece. "tekai replay --at <moment>" on the engine's machine answers for any moment, GET /v1/codebases/{id}/access there.`);
}

const byPosition = (one: Fact, other: Fact) => (one.position < other.position ? -1 : Number(one.position > other.position));

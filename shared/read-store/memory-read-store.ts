import { BEGINNING, type CodebaseId, type Position, type ProjectId, type SourceId, type SyncId, type RefName } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import { WHO_READS_STREAMS } from './readable.ts';
import type { At, CodebaseView, FactMark, GitLabReadersView, IndexedFact, PersonView, PollingView, ProjectView, ReadersAskedView, ReadStore, SourceView, StandingView, SyncFilter, SyncView, VersionView } from './read-store.ts';

/** What is in the tables, in any order. Where a ref points now is its newest version. */
export interface ReadModel {
  readonly position: Position;
  readonly sources: readonly (SourceView & { readonly state: 'active' | 'removed' })[];
  readonly codebases: readonly (CodebaseView & { readonly beganAt?: Position })[];
  readonly projects?: readonly Omit<ProjectView, 'codebases'>[];
  readonly members?: readonly { readonly project: ProjectId; readonly codebase: CodebaseId; readonly isMember: boolean; readonly isRead?: boolean }[];
  readonly people?: readonly (PersonView & { readonly project: ProjectId })[];
  readonly versions: readonly (VersionView & { readonly codebaseId: CodebaseId })[];
  readonly syncs: readonly SyncView[];
  /** A test that asks for no ids and times need not give them. */
  readonly facts: readonly (IndexedFact & Partial<FactMark>)[];
  readonly progress: ReadonlyMap<SyncId, Progress>;
  /** The key of each fact that could not be folded. */
  readonly unfolded: readonly string[];
  readonly gitlabReaders?: ReadonlyMap<CodebaseId, Omit<GitLabReadersView, 'isOpen'>>;
  /** Whose open projects whoever is signed in reads. */
  readonly openSources?: readonly SourceId[];
  readonly readersAsked?: ReadonlyMap<CodebaseId, ReadersAskedView>;
  /** Who our users are in GitLab. */
  readonly bindings?: readonly { readonly user: string; readonly source: SourceId; readonly gitlabUser: number }[];
  readonly polling?: ReadonlyMap<SourceId, PollingView>;
  /** With which of its source's secrets each webhook was last made. */
  readonly hookSecrets?: ReadonlyMap<CodebaseId, number>;
}

/** A read model in this process's memory: for tests. Looks at `model` anew each time. */
export function createMemoryReadStore(model: ReadModel): ReadStore {
  const beganAt = (codebase: CodebaseId) => model.codebases.find((one) => one.id === codebase)?.beganAt ?? '';
  const { projects = [], members = [], people = [] } = model;
  const isMember = (project: ProjectId, codebase: CodebaseId) => members.some((one) => one.project === project && one.codebase === codebase && one.isMember);
  const isGitLabReader = (user: string, id: CodebaseId) => (model.bindings ?? []).some((one) => one.user === user
    && model.codebases.some(({ id: of, sourceId }) => of === id && sourceId === one.source) && model.gitlabReaders?.get(id)?.users.includes(one.gitlabUser) === true);
  const isOpen = (id: CodebaseId) => (model.gitlabReaders?.get(id)?.beyondMembers ?? 'nobody') !== 'nobody' && model.codebases.some((one) => one.id === id && model.openSources?.includes(one.sourceId) === true);
  /** GitLab says so, or an admin of a project that they are in. */
  const mayRead = (user: string, codebase: CodebaseId) => isGitLabReader(user, codebase) || (isOpen(codebase) && (model.bindings ?? []).some((one) => one.user === user)) || people.some(({ project, userId }) => userId === user
    && projects.some(({ id, state }) => id === project && state !== 'removed') && members.some((one) => one.project === project && one.codebase === codebase && one.isMember && one.isRead === true));
  const projectOf = (project: (typeof projects)[number], readableBy?: string): ProjectView =>
    ({ ...project, codebases: model.codebases.filter((one) => LISTED.includes(one.state) && isMember(project.id, one.id) && (readableBy === undefined || mayRead(readableBy, one.id))).length });
  async function standing(id: CodebaseId, names: readonly RefName[] | undefined): Promise<StandingView | undefined> {
    const codebase = await store.codebase(id);
    if (codebase === undefined) return undefined;
    const refs = await store.refs(id);
    const wanted = names ?? [codebase.defaultRef ?? refs[0]?.ref];
    const version = wanted.map((name) => refs.find(({ ref }) => ref === name)).find((one) => one !== undefined);
    return { codebase, version, isUnderWay: version !== undefined && (await store.refsUnderWay(id)).has(version.ref) };
  }
  const versionsOf = (codebase: CodebaseId): VersionView[] => model.versions.filter((version) => version.codebaseId === codebase && version.position > beganAt(codebase))
    .map(({ codebaseId: _codebaseId, ...version }) => version).sort((left, right) => compare(right.position, left.position));

  const store: ReadStore = {
    standing,
    position: async () => model.position,
    positionBy: async (time) => model.facts.filter((fact) => fact.time !== undefined && fact.time <= time).map(({ position }) => position).sort(compare).at(-1) ?? BEGINNING,
    sources: async () => model.sources.filter((one) => one.state !== 'removed').map(({ state: _state, ...source }) => source).sort((left, right) => compare(left.registeredAt, right.registeredAt) || compare(left.id, right.id)),
    codebases: async ({ after, limit, project, source, states = LISTED, readableBy }) => model.codebases
      .filter((one) => one.id > after && states.includes(one.state) && (source === undefined || one.sourceId === source) && (project === undefined || isMember(project, one.id)) && (readableBy === undefined || mayRead(readableBy, one.id)))
      .sort((left, right) => compare(left.id, right.id)).slice(0, limit).map(shown),
    codebase: async (id) => model.codebases.filter((one) => one.id === id).map(shown)[0],
    projects: async ({ after, limit, states = LISTED, person }) => projects.filter(({ id, state }) => id > after && (person === undefined || people.some((one) => one.project === id && one.userId === person)) && (states as readonly string[]).includes(state))
      .sort((left, right) => compare(left.id, right.id)).slice(0, limit).map((one) => projectOf(one, person)),
    project: async (id, readableBy) => projects.filter((one) => one.id === id).map((one) => projectOf(one, readableBy))[0],
    readBy: async (source, user) => model.codebases.filter((one) => one.sourceId === source && model.gitlabReaders?.get(one.id)?.users.includes(user) === true).map(({ id }) => id).sort(compare),
    readersAsked: async (id) => model.readersAsked?.get(id),
    projectReaders: async (codebase) => people.flatMap(({ userId, project }) => projects.filter(({ id, state }) => id === project && state !== 'removed'
      && members.some((one) => one.project === project && one.codebase === codebase && one.isMember && one.isRead === true)).map(({ name }) => ({ userId, project, projectName: name })))
      .sort((left, right) => compare(left.userId, right.userId) || compare(left.project, right.project)),
    async gitlabReaders(id) {
      const found = model.gitlabReaders?.get(id);
      return found === undefined ? undefined : { ...found, isOpen: isOpen(id) };
    },
    gitlabUsers: async (source, ids) => new Map((model.bindings ?? []).filter((one) => one.source === source && ids.includes(one.gitlabUser)).map(({ gitlabUser, user }) => [gitlabUser, user])),
    projectsEver: async (of) => ('codebase' in of ? members.filter(({ codebase }) => codebase === of.codebase) : people.filter(({ userId }) => userId === of.user)).map(({ project }) => project).sort(compare),
    readable: async (user, codebases) => new Set(codebases.filter((one) => mayRead(user, one))),
    rightsOf: async (asked) => new Map(asked.map(({ user, codebases, projects: named }) => [user, {
      projects: new Set(people.filter(({ project, userId }) => userId === user && named.includes(project)).map(({ project }) => project as string)),
      codebases: new Set<string>([...codebases, ...members.filter(({ project }) => named.includes(project)).map(({ codebase }) => codebase)].filter((one) => mayRead(user, one as CodebaseId))),
    }])),
    roleOf: async (project, user) => people.find((one) => one.project === project && one.userId === user)?.role,
    people: async (project) => people.filter((one) => one.project === project).map(({ project: _project, ...one }) => one).sort((left, right) => compare(left.userId, right.userId)),
    async refs(codebase) {
      const newest = new Map(versionsOf(codebase).reverse().map((version) => [version.ref, version]));
      return [...newest.values()].filter(({ state }) => state === 'stored').sort((left, right) => compare(left.ref, right.ref));
    },
    refsUnderWay: async (codebase) => new Set(model.syncs.filter((sync) => sync.codebaseId === codebase && sync.endedAt === null).map(({ ref }) => ref)),
    async lastEnded(codebase, refs) {
      const ended = model.syncs.filter((sync) => sync.codebaseId === codebase && sync.endedAt !== null && refs.includes(sync.ref))
        .sort((left, right) => compare(left.endedAt ?? '', right.endedAt ?? '') || compare(right.id, left.id));
      return new Map(ended.map(({ ref, id, begunAt }) => [ref, { id, begunAt }]));
    },
    haveHooksSecrets: async (source, revision) => model.codebases.every((one) => one.sourceId !== source || one.state !== 'active' || one.hook.state !== 'installed' || (model.hookSecrets?.get(one.id) ?? -1) >= revision),
    polling: async (source) => model.polling?.get(source),
    versions: async (codebase, { refs, commit, before, limit }) => versionsOf(codebase)
      .filter((version) => isNamed(version.ref, refs) && (commit === undefined || version.commit?.startsWith(commit) === true) && (before === undefined || version.position < before)).slice(0, limit),
    async versionAt(codebase, ref, at) {
      const then = versionsOf(codebase).filter((version) => isThen(version, at));
      if ('observedAt' in at) then.sort((left, right) => compare(right.observedAt, left.observedAt) || compare(right.position, left.position));
      const onRef = then.find((version) => version.ref === ref);
      return onRef ?? ('commit' in at ? then[0] : undefined);
    },
    sync: async (id) => model.syncs.find((sync) => sync.id === id),
    syncsById: async (ids) => model.syncs.filter((sync) => ids.includes(sync.id)),
    syncs: async (filter) => model.syncs.filter((sync) => isAsked(sync, filter) && (filter.readableBy === undefined || mayRead(filter.readableBy, sync.codebaseId))).sort(byBeginning).slice(0, filter.limit),
    facts: async ({ key, stream, type, after, until, readableBy, limit }) => model.facts
      .filter((fact) => (readableBy === undefined || (mayRead(readableBy, fact.key as CodebaseId) && !fact.stream.startsWith(WHO_READS_STREAMS))) && fact.position > after && isFactAsked(fact, { key, stream, types: typeof type === 'string' ? [type] : type }))
      .filter((fact) => until === undefined || ('position' in until ? fact.position <= until.position : (fact.time ?? '') < until.time))
      .sort((left, right) => compare(left.position, right.position)).slice(0, limit).map(indexedOf),
    newestFacts: async ({ types, key, streamPrefix = '', since = '', until, before, limit }) => model.facts
      .filter((fact) => isFactAsked(fact, { key, types }) && fact.stream.startsWith(streamPrefix) && (fact.time ?? '') >= since && (until === undefined || (fact.time ?? '') < until) && (before === undefined || fact.position < before))
      .sort((left, right) => compare(right.position, left.position)).slice(0, limit).map(markOf),
    marks: async (of) => model.facts
      .filter((fact) => ('ids' in of ? of.ids.includes(fact.id ?? '') : of.correlations.includes(fact.correlationId ?? '') && of.types.includes(fact.type)))
      .sort((left, right) => compare(left.position, right.position)).map(markOf),
    progress: async (id) => model.progress.get(id),
    unfolded: async (key) => model.unfolded.filter((one) => one === key).length,
    factsOf: async ({ keys, after, limit }) => model.facts.filter((fact) => fact.position > after && keys.includes(fact.key))
      .sort((left, right) => compare(left.position, right.position)).slice(0, limit).map(indexedOf),
    members: async (project) => ({ codebases: members.filter((one) => one.project === project && one.isMember).map((one) => one.codebase).sort(compare), position: model.position }),
  };
  return store;
}

const indexedOf = ({ position, key, stream, revision, type }: IndexedFact): IndexedFact => ({ position, key, stream, revision, type });

const markOf = (fact: IndexedFact & Partial<FactMark>): FactMark => ({ id: '' as FactMark['id'], correlationId: '', time: '', ...fact });

function isFactAsked(fact: IndexedFact, { key, stream, types }: { key: string | undefined; stream?: string | undefined; types: readonly string[] | undefined }): boolean {
  return (key === undefined || fact.key === key) && (stream === undefined || fact.stream === stream) && (types === undefined || types.includes(fact.type));
}

function isNamed(ref: string, patterns: readonly string[] | undefined): boolean {
  return patterns === undefined || patterns.some((pattern) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('.*')}$`, 's').test(ref));
}

function isAsked(sync: SyncView, { cause, codebase, refs, states, since, until, after }: Omit<SyncFilter, 'limit'>): boolean {
  return (cause === undefined || sync.cause === cause) && (codebase === undefined || sync.codebaseId === codebase) && isNamed(sync.ref, refs)
    && (states === undefined || states.includes(sync.state)) && (since === undefined || sync.begunAt >= since) && (until === undefined || sync.begunAt < until)
    && (after === undefined || byBeginning(after, sync) < 0);
}

type Begun = Pick<SyncView, 'begunAt' | 'id'>;
const byBeginning = (left: Begun, right: Begun) => compare(right.begunAt, left.begunAt) || compare(left.id, right.id);

/** What is shown unless something else is asked for. */
const LISTED: readonly CodebaseView['state'][] = ['active', 'archived'];
const shown = ({ beganAt: _beganAt, ...codebase }: ReadModel['codebases'][number]): CodebaseView => codebase;

function isThen(version: VersionView, at: At): boolean {
  if ('commit' in at) return version.commit === at.commit;
  if ('observedAt' in at) return version.observedAt <= at.observedAt && (at.known === undefined || isThen(version, at.known));
  return 'position' in at ? version.position <= at.position : version.storedAt <= at.time;
}

const compare = (left: string, right: string) => (left < right ? -1 : Number(left > right));

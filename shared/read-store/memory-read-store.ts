import type { CodebaseId, Position, ProjectId, SyncId } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { At, CodebaseView, IndexedFact, ProjectView, ReadStore, SourceView, SyncView, VersionView } from './read-store.ts';

/** What is in the tables, in any order. Where a ref points now is its newest version. */
export interface ReadModel {
  readonly position: Position;
  readonly sources: readonly (SourceView & { readonly state: 'active' | 'removed' })[];
  readonly codebases: readonly (CodebaseView & { readonly beganAt?: Position })[];
  readonly projects?: readonly Omit<ProjectView, 'codebases'>[];
  readonly members?: readonly { readonly project: ProjectId; readonly codebase: CodebaseId; readonly isMember: boolean }[];
  readonly versions: readonly (VersionView & { readonly codebaseId: CodebaseId })[];
  readonly syncs: readonly SyncView[];
  readonly facts: readonly IndexedFact[];
  readonly progress: ReadonlyMap<SyncId, Progress>;
  /** The key of each fact that could not be folded. */
  readonly unfolded: readonly string[];
}

/** A read model in this process's memory: for tests. Looks at `model` anew each time. */
export function createMemoryReadStore(model: ReadModel): ReadStore {
  const beganAt = (codebase: CodebaseId) => model.codebases.find((one) => one.id === codebase)?.beganAt ?? '';
  const { projects = [], members = [] } = model;
  const isMember = (project: ProjectId, codebase: CodebaseId) => members.some((one) => one.project === project && one.codebase === codebase && one.isMember);
  const projectOf = (project: (typeof projects)[number]): ProjectView =>
    ({ ...project, codebases: model.codebases.filter((one) => LISTED.includes(one.state) && isMember(project.id, one.id)).length });
  const versionsOf = (codebase: CodebaseId): VersionView[] => model.versions.filter((version) => version.codebaseId === codebase && version.position > beganAt(codebase))
    .map(({ codebaseId: _codebaseId, ...version }) => version).sort((left, right) => compare(right.position, left.position));

  return {
    position: async () => model.position,
    sources: async () => model.sources.filter((one) => one.state !== 'removed').map(({ state: _state, ...source }) => source).sort((left, right) => compare(left.registeredAt, right.registeredAt) || compare(left.id, right.id)),
    codebases: async ({ after, limit, project, source, states = LISTED }) => model.codebases
      .filter((one) => one.id > after && states.includes(one.state) && (source === undefined || one.sourceId === source) && (project === undefined || isMember(project, one.id)))
      .sort((left, right) => compare(left.id, right.id)).slice(0, limit).map(shown),
    codebase: async (id) => model.codebases.filter((one) => one.id === id).map(shown)[0],
    projects: async ({ after, limit, states = LISTED }) => projects.filter(({ id, state }) => id > after && (states as readonly string[]).includes(state))
      .sort((left, right) => compare(left.id, right.id)).slice(0, limit).map(projectOf),
    project: async (id) => projects.filter((one) => one.id === id).map(projectOf)[0],
    async refs(codebase) {
      const newest = new Map(versionsOf(codebase).reverse().map((version) => [version.ref, version]));
      return [...newest.values()].filter(({ state }) => state === 'stored').sort((left, right) => compare(left.ref, right.ref));
    },
    refsUnderWay: async (codebase) => new Set(model.syncs.filter((sync) => sync.codebaseId === codebase && sync.endedAt === null).map(({ ref }) => ref)),
    versions: async (codebase, { ref, before, limit }) => versionsOf(codebase)
      .filter((version) => (ref === undefined || version.ref === ref) && (before === undefined || version.position < before)).slice(0, limit),
    async versionAt(codebase, ref, at) {
      const then = versionsOf(codebase).filter((version) => isThen(version, at));
      const onRef = then.find((version) => version.ref === ref);
      return onRef ?? ('commit' in at ? then[0] : undefined);
    },
    sync: async (id) => model.syncs.find((sync) => sync.id === id),
    syncs: async ({ cause, codebase, limit }) => model.syncs
      .filter((sync) => (cause === undefined || sync.cause === cause) && (codebase === undefined || sync.codebaseId === codebase))
      .sort((left, right) => compare(right.begunAt, left.begunAt) || compare(left.id, right.id)).slice(0, limit),
    facts: async ({ key, stream, type, after, limit }) => model.facts
      .filter((fact) => fact.position > after && (key === undefined || fact.key === key) && (stream === undefined || fact.stream === stream) && (type === undefined || fact.type === type))
      .sort((left, right) => compare(left.position, right.position)).slice(0, limit),
    progress: async (id) => model.progress.get(id),
    unfolded: async (key) => model.unfolded.filter((one) => one === key).length,
  };
}

/** What is shown unless something else is asked for. */
const LISTED: readonly CodebaseView['state'][] = ['active', 'archived'];
const shown = ({ beganAt: _beganAt, ...codebase }: ReadModel['codebases'][number]): CodebaseView => codebase;

function isThen(version: VersionView, at: At): boolean {
  if ('commit' in at) return version.commit === at.commit;
  return 'position' in at ? version.position <= at.position : version.storedAt <= at.time;
}

const compare = (left: string, right: string) => (left < right ? -1 : Number(left > right));

import type { CodebaseId, Position, SourceId, SyncId } from '#schemas/brand.ts';
import type { Progress } from '#shared/bus/bus.ts';
import type { At, CodebaseView, IndexedFact, PollingView, ReadStore, SyncView, VersionView } from './read-store.ts';

/** What is in the tables, in any order. Where a ref points now is its newest version. */
export interface ReadModel {
  readonly position: Position;
  readonly sources: readonly { id: SourceId; name: string; baseUrl: string; registeredAt: string }[];
  readonly codebases: readonly CodebaseView[];
  readonly versions: readonly (VersionView & { readonly codebaseId: CodebaseId })[];
  readonly syncs: readonly SyncView[];
  readonly facts: readonly IndexedFact[];
  readonly progress: ReadonlyMap<SyncId, Progress>;
  /** The key of each fact that could not be folded. */
  readonly unfolded: readonly string[];
  readonly members?: ReadonlyMap<string, readonly CodebaseId[]>;
  readonly polling?: ReadonlyMap<SourceId, PollingView>;
}

/** A read model in this process's memory: for tests. Looks at `model` anew each time. */
export function createMemoryReadStore(model: ReadModel): ReadStore {
  const versionsOf = (codebase: CodebaseId): VersionView[] => model.versions.filter((version) => version.codebaseId === codebase)
    .map(({ codebaseId: _codebaseId, ...version }) => version).sort((left, right) => compare(right.position, left.position));

  return {
    position: async () => model.position,
    sources: async () => [...model.sources].sort((left, right) => compare(left.registeredAt, right.registeredAt) || compare(left.id, right.id)),
    codebases: async ({ after, limit }) => model.codebases.filter(({ id }) => id > after).sort((left, right) => compare(left.id, right.id)).slice(0, limit),
    codebase: async (id) => model.codebases.find((one) => one.id === id),
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
    polling: async (source) => model.polling?.get(source),
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
    factsOf: async ({ keys, after, limit }) => model.facts.filter((fact) => fact.position > after && keys.includes(fact.key))
      .sort((left, right) => compare(left.position, right.position)).slice(0, limit),
    members: async (project) => ({ codebases: [...(model.members?.get(project) ?? [])].sort(compare), position: model.position }),
  };
}

function isThen(version: VersionView, at: At): boolean {
  if ('commit' in at) return version.commit === at.commit;
  return 'position' in at ? version.position <= at.position : version.storedAt <= at.time;
}

const compare = (left: string, right: string) => (left < right ? -1 : Number(left > right));

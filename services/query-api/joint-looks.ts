import type { CodebaseId, RefName } from '#schemas/brand.ts';
import type { Bus } from '#shared/bus/bus.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { askedTogether } from '#shared/runtime/asked-together.ts';

/** Codebases looked up together, each with a statement of its own. */
const CODEBASES_MAX = 8;

/** The same tables, where what every answer needs of its codebase is looked up once for all who ask for it at the same time. */
export function withJointLooks(store: ReadStore): ReadStore {
  const shared = <Value>(look: (id: CodebaseId) => Promise<Value>) => {
    const ask = askedTogether(async (ids: readonly CodebaseId[]) => new Map(await Promise.all(ids.map(async (id) => [id, await look(id)] as const))), { keysMax: CODEBASES_MAX });
    return (id: CodebaseId) => ask(id) as Promise<Value>;
  };
  // A name of a ref holds no line break.
  const standing = askedTogether(async (asked: readonly string[]) => new Map(await Promise.all(asked.map(async (one) => {
    const [id, ...names] = one.split('\n');
    return [one, await store.standing(id as CodebaseId, names.length === 0 ? undefined : names as RefName[])] as const;
  }))), { keysMax: CODEBASES_MAX });
  return {
    ...store, codebase: shared(store.codebase), refs: shared(store.refs), refsUnderWay: shared(store.refsUnderWay),
    standing: (id, names) => (names?.length === 0 ? store.standing(id, names) : standing([id, ...names ?? []].join('\n'))),
  };
}

/** The same for what is set aside, looked up by key. */
export function withJointParked(bus: Pick<Bus, 'parked'>): Pick<Bus, 'parked'> {
  const parked = askedTogether(async (keys: readonly string[]) => new Map(await Promise.all(keys.map(async (key) => [key, await bus.parked({ key })] as const))), { keysMax: CODEBASES_MAX });
  return { parked: async (filter = {}) => (filter.key === undefined ? bus.parked(filter) : await parked(filter.key) ?? []) };
}

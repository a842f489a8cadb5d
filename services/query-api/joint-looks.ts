import type { CodebaseId } from '#schemas/brand.ts';
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
  return { ...store, codebase: shared(store.codebase), refs: shared(store.refs), refsUnderWay: shared(store.refsUnderWay) };
}

import type { CodebaseId, RefName, SourceId, SyncId } from '#schemas/brand.ts';
import type { CodebaseView, ReadStore } from '#shared/read-store/read-store.ts';
import type { Mind } from './look-at-codebase.ts';
import { NEVER_LOOKED, type LookRow, type Looks } from './looks.ts';
import type { Looked } from './plan-looks.ts';

/** A codebase that is watched, with what is remembered of it. */
export interface Watched {
  readonly id: CodebaseId;
  readonly sourceId: SourceId;
  hook: CodebaseView['hook']['state'];
  activeAt: number;
  readonly registeredAt: number;
  row: LookRow;
  whole: Mind['whole'];
  suspects: ReadonlyMap<RefName, SyncId | null>;
  confirmAt: number | null;
  isBusy: boolean;
  /** A gap although the hook is installed, or a hook that is still to be tried: it is looked after at once. */
  isHookDoubted: boolean;
}

export type Roster = ReadonlyMap<CodebaseId, Watched>;

const CODEBASES_A_PAGE = 1_000;

/** Every active codebase (archived ones are read, not synced), as the tables have it now; what this process has in mind of it stays. @throws Unavailable */
export async function loadRoster({ store, looks }: { store: Pick<ReadStore, 'codebases'>; looks: Pick<Looks, 'all'> }, before: Roster): Promise<Roster> {
  const rows = await looks.all();
  const roster = new Map<CodebaseId, Watched>();
  for (let after = ''; ;) {
    const page = await store.codebases({ after, limit: CODEBASES_A_PAGE, states: ['active'] });
    for (const codebase of page) roster.set(codebase.id, watchedOf(codebase, { known: before.get(codebase.id), row: rows.get(codebase.id) ?? NEVER_LOOKED }));
    const last = page.at(-1);
    if (last === undefined || page.length < CODEBASES_A_PAGE) return roster;
    after = last.id;
  }
}

function watchedOf(codebase: CodebaseView, { known, row }: { known: Watched | undefined; row: LookRow }): Watched {
  const registeredAt = Date.parse(codebase.registeredAt);
  const activeAt = codebase.lastHintAt === null ? registeredAt : Date.parse(codebase.lastHintAt);
  // What is under way writes its row when it ends: what it knows is newer.
  if (known !== undefined) return Object.assign(known, { activeAt, hook: codebase.hook.state, ...(known.isBusy ? {} : { row }) });
  return {
    id: codebase.id, sourceId: codebase.sourceId, hook: codebase.hook.state, activeAt, registeredAt, row,
    whole: undefined, suspects: new Map(), confirmAt: null, isBusy: false, isHookDoubted: false,
  };
}

/** As the planner sees it. */
export function lookedOf(watched: Watched): Looked & { readonly watched: Watched } {
  const { row } = watched;
  return {
    id: watched.id, activeAt: watched.activeAt, lookedAt: row.lookedAt === null ? watched.registeredAt : Date.parse(row.lookedAt),
    nextAt: row.nextAt === null ? null : Date.parse(row.nextAt), confirmAt: watched.confirmAt, requests: row.requests, watched,
  };
}

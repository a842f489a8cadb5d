import type { ManualHook, SourceCheck } from '#schemas/api/sources.ts';
import { counted } from '#shared/api-client/describe-fact.ts';
import { printable } from '../plain-text.ts';
import type { FirstSyncs } from './await-first-syncs.ts';
import type { Choice } from './choose-projects.ts';
import type { KnownSource } from './find-source.ts';
import type { Registered } from './register-projects.ts';

/** What became of one project. `refused`: the engine did not take it; `failed` and `waiting`: its first sync. */
export interface ProjectOutcome {
  readonly path: string;
  readonly codebaseId: string | null;
  readonly state: 'followed' | 'synced' | 'waiting' | 'failed' | 'refused';
  readonly reason: string | null;
}

/** The document that `--json` prints. */
export interface ConnectAnswer {
  readonly source: KnownSource;
  readonly check: SourceCheck | null;
  readonly leftOut: { readonly archived: readonly string[]; readonly excluded: readonly string[]; readonly unreadable: readonly string[] };
  readonly toFollow: { readonly projects: number; readonly repositoryBytes: number; readonly withoutSize: number; readonly empty: number };
  readonly projects: readonly ProjectOutcome[];
  readonly manualHook: ManualHook | null;
}

export function connectAnswer({ source, check, choice, registered, firstSyncs, manualHook }: {
  source: KnownSource; check: SourceCheck | null; choice: Choice; registered: readonly Registered[]; firstSyncs: FirstSyncs | undefined; manualHook: ManualHook | null;
}): ConnectAnswer {
  const paths = (projects: readonly { path: string }[]) => projects.map(({ path }) => path);
  const followed = new Map<string, string>();
  for (const one of registered) if (one.kind === 'followed') followed.set(one.codebase, one.path);
  for (const { codebaseId, path } of choice.known) if (codebaseId !== null) followed.set(codebaseId, path);
  const refused = registered.flatMap((one) => (one.kind === 'failed' ? [{ path: one.path, codebaseId: null, state: 'refused' as const, reason: one.reason }] : []));
  const outcomes = [...followed].map(([codebaseId, path]): ProjectOutcome => {
    const sync = firstSyncs === undefined ? undefined : [...firstSyncs.syncs.values()].find(({ codebase }) => codebase === codebaseId);
    return { path, codebaseId, state: sync?.state ?? 'followed', reason: sync?.reason ?? null };
  });
  return {
    source: { id: source.id, name: source.name, baseUrl: source.baseUrl },
    check,
    leftOut: { archived: paths(choice.archived), excluded: paths(choice.excluded), unreadable: paths(choice.unreadable) },
    toFollow: {
      projects: choice.follow.length, repositoryBytes: choice.follow.reduce((sum, { repositoryBytes }) => sum + (repositoryBytes ?? 0), 0),
      withoutSize: choice.follow.filter(({ repositoryBytes }) => repositoryBytes === null).length, empty: choice.follow.filter(({ isEmpty }) => isEmpty).length,
    },
    projects: [...outcomes, ...refused],
    manualHook,
  };
}

/** More would scroll what matters away; `--json` has them all. */
const TROUBLES_SHOWN_MAX = 50;

/** What came of it, and what to do about what did not: lines for a person. */
export function endLines({ projects }: ConnectAnswer, { isWaitedFor }: { isWaitedFor: boolean }): string[] {
  if (projects.length === 0) return ['There is nothing to follow. Other groups: --group <path>; all that the token sees: --all.'];
  const of = (state: ProjectOutcome['state']) => projects.filter((one) => one.state === state);
  const lines = isWaitedFor
    ? [`${of('synced').length} of ${counted(projects.length, 'project')} can be read now.`]
    : [`${counted(of('followed').length, 'project')} followed. Their first syncs go on by themselves; "tekai status" shows how they stand.`];
  const troubles = (['refused', 'failed', 'waiting'] as const).flatMap((state) => of(state).flatMap((one) => [`  ${printable(one.path)}: ${printable(one.reason ?? '')}`, `    ${TO_DO[state](one.path)}`]));
  if (troubles.length > 0) lines.push(`${counted(troubles.length / 2, 'project')} not:`, ...troubles.slice(0, TROUBLES_SHOWN_MAX * 2));
  if (troubles.length / 2 > TROUBLES_SHOWN_MAX) lines.push(`  and ${troubles.length / 2 - TROUBLES_SHOWN_MAX} more (--json has them all).`);
  return lines;
}

const TO_DO = {
  refused: () => 'Mend that in GitLab, then run the same command again: it takes up what is missing.',
  failed: (path: string) => `Mend that in GitLab; the engine tries five times by itself, later "tekai sync ${printable(path)}" does. "tekai status ${printable(path)}" shows how it stands.`,
  waiting: (path: string) => `Look whether the project opens in GitLab's own pages. "tekai status ${printable(path)}" shows how it stands.`,
} as const;

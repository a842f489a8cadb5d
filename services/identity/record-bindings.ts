import type { SourceId, UserId } from '#schemas/brand.ts';
import type { NewFact } from '#schemas/events/facts.ts';
import { commandFactId, PEOPLE_RECORDED, peopleStream } from '#schemas/ids.ts';
import { readPeople } from '#shared/lifecycles/people-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import { newFact } from '#shared/runtime/new-fact.ts';

export interface RecordBindingsDeps {
  readonly query: Query;
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  now(): Date;
}

interface Row { readonly source_id: SourceId; readonly gitlab_user_id: string; readonly user_id: UserId; readonly bound_at: Date }

/** About 400 bytes each: far below what one append takes. */
const FACTS_AT_ONCE = 500;

/**
 * Before bindings were facts they were rows. What there is of them goes into the log once, then the fact that says so: their facts
 * have ids that follow from the rows, so that a second process, or a start after a crash, tells nothing twice. @throws Unavailable
 */
export async function recordBindings(deps: RecordBindingsDeps): Promise<void> {
  const { query, log } = deps;
  if ((await query('select from identity_bindings_to_record')).length === 0) return;
  const rows = await query<Row>('select source_id, gitlab_user_id, user_id, bound_at from identity_gitlab_users order by source_id, bound_at, user_id');
  for (const source of new Set(rows.map((row) => row.source_id))) await recordSource(deps, source, rows.filter((row) => row.source_id === source));
  // Refused when it stands there already: then another was quicker.
  await log.append(PEOPLE_RECORDED, 'noStream', [newFact({ type: 'bindings.recorded', id: commandFactId(PEOPLE_RECORDED, ''), key: 'bindings', ...BY_US, time: deps.now(), data: { bindings: rows.length } })]);
  await query('delete from identity_gitlab_users');
  await query('delete from identity_bindings_to_record');
}

const BY_US = { actor: { kind: 'worker', id: 'identity' }, correlationId: 'bindings-recorded', causationId: null } as const;

async function recordSource(deps: RecordBindingsDeps, source: SourceId, rows: readonly Row[]): Promise<void> {
  for (;;) {
    const { revision, gitlabUserOf, factIds } = await readPeople(deps.log, source);
    const taken = new Set(gitlabUserOf.values());
    // What was told once may have been taken back since; and what people said since counts more than a row.
    const left = rows.map((row) => ({ row, fact: factOf(deps, row) })).filter(({ row, fact }) => !factIds.has(fact.id) && !gitlabUserOf.has(row.user_id) && !taken.has(Number(row.gitlab_user_id)));
    if (left.length === 0) return;
    await deps.log.append(peopleStream(source), revision ?? 'noStream', left.slice(0, FACTS_AT_ONCE).map(({ fact }) => fact));
  }
}

function factOf({ now }: RecordBindingsDeps, { source_id: sourceId, gitlab_user_id: id, user_id: userId, bound_at: boundAt }: Row): NewFact {
  return newFact({ type: 'user.gitlab-bound', id: commandFactId(peopleStream(sourceId), `${userId}\n${id}\n${boundAt.toISOString()}`), key: userId, ...BY_US, time: now(), data: { userId, sourceId, gitlabUserId: Number(id) } });
}

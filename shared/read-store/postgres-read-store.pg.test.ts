import type { Pool } from 'pg';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import type { Position } from '#schemas/brand.ts';
import type { ReadModel } from './memory-read-store.ts';
import { createPostgresReadStore } from './postgres-read-store.ts';
import { MOMENTS_OF, momentsContract } from './moments.contract.ts';
import { readStoreContract } from './read-store.contract.ts';

const OWNERS = ['projector', 'notifier', 'scheduler', 'identity'].map((name) => ({ name, directory: new URL(`../../services/${name}/migrations/`, import.meta.url).pathname }));

const EMPTY: ReadModel = { position: '' as Position, sources: [], codebases: [], versions: [], syncs: [], facts: [], progress: new Map(), unfolded: [] };

async function database() {
  const made = await freshDatabase();
  await migrate({ url: made.url, owners: OWNERS });
  const pool = createPool(made.url, { connectionsMax: 2, applicationName: 'read-store-test' });
  return { pool, drop: async () => { await pool.end(); await made.drop(); } };
}

readStoreContract('postgres', async (model) => {
  const { pool, drop } = await database();
  await fill(pool, model);
  return { store: createPostgresReadStore({ pool }), close: drop };
});

describe('one database for all histories', () => {
  let made: Awaited<ReturnType<typeof database>>;
  beforeAll(async () => {
    made = await database();
    await made.pool.query(`insert into read_model.codebases (codebase_id, source_id, gitlab_project_id, followed, hook_state, registered_at) values ($1, $2, 1, '{"branches":["*"],"tags":[]}', 'pending', '2026-01-01T00:00:00.000Z')`, [MOMENTS_OF, MOMENTS_OF]);
  });
  afterAll(() => made.drop());

  momentsContract('postgres', async (versions) => {
    await made.pool.query('truncate read_model.versions, read_model.refs');
    await fill(made.pool, { ...EMPTY, versions });
    return { store: createPostgresReadStore({ pool: made.pool }), close: async () => undefined };
  });
});

/** The tables as the projector would have left them. */
async function fill(pool: Pool, model: ReadModel): Promise<void> {
  const insert = async (table: string, row: Record<string, unknown>) => void (await pool.query(
    `insert into ${table} select * from json_populate_record(null::${table}, $1::json)`, [JSON.stringify(row)]));
  await pool.query('update read_model.progress set position = $1', [model.position]);
  for (const one of model.sources) await insert('read_model.sources', { source_id: one.id, name: one.name, base_url: one.baseUrl, registered_at: one.registeredAt, revision: one.revision, state: one.state, open_projects_read_by: model.openSources?.includes(one.id) === true ? 'signed-in' : 'members' });
  for (const one of model.projects ?? []) await insert('read_model.projects', { project_id: one.id, name: one.name, state: one.state, created_at: one.createdAt, removed_at: one.removedAt, revision: one.revision });
  for (const one of model.members ?? []) await insert('read_model.project_codebases', { project_id: one.project, codebase_id: one.codebase, is_member: one.isMember, is_read: one.isRead ?? false });
  for (const one of model.people ?? []) await insert('read_model.project_people', { project_id: one.project, user_id: one.userId, role: one.role, since: one.since });
  // Who left keeps a row, and is in it no longer.
  if (model.people !== undefined) await insert('read_model.project_people', { project_id: '00000000-0000-4000-8000-000000000041', user_id: '00000000-0000-4000-8000-000000000079', role: null, since: '2026-01-01T00:00:00.000Z' });
  for (const [id, one] of model.gitlabReaders ?? []) {
    const source_id = model.codebases.find((codebase) => codebase.id === id)?.sourceId;
    await insert('read_model.codebase_readers', { codebase_id: id, source_id, gitlab_users: one.users, beyond_members: one.beyondMembers, observed_at: one.observedAt, revision: one.revision });
  }
  for (const [id, one] of model.readersAsked ?? []) await insert('reader_looks', { codebase_id: id, asked_at: one.askedAt, trouble: one.trouble, requests: 2, failures: 0 });
  for (const one of model.bindings ?? []) {
    await insert('identity_users', { user_id: one.user, name: one.user, password_hash: 'none', is_one_time: false, is_system_admin: false, state: 'active', created_at: '2026-01-01T00:00:00.000Z' });
    await insert('read_model.gitlab_people', { source_id: one.source, gitlab_user_id: one.gitlabUser, user_id: one.user });
  }
  for (const one of model.codebases) {
    await insert('read_model.codebases', {
      codebase_id: one.id, source_id: one.sourceId, gitlab_project_id: one.gitlabProjectId, path: one.path, followed: one.followed, default_ref: one.defaultRef,
      hook_state: one.hook.state, hook_reason: one.hook.reason, hook_is_signed: one.hook.isSigned, registered_at: one.registeredAt,
      last_hint_at: one.lastHintAt, last_whole_hint_at: one.lastWholeHintAt, last_observed_at: one.lastObservedAt,
      state: one.state, removed_at: one.removedAt, revision: one.revision, began_at: one.beganAt ?? '',
    });
  }
  for (const { id, look } of model.codebases) {
    if (look) await insert('codebase_looks', { hook_secrets: model.hookSecrets?.get(id) ?? null, codebase_id: id, looked_at: look.lookedAt, position: look.position, different: look.different, hook_trouble: look.hookTrouble, requests: 1, failures: 0 });
  }
  for (const [id, one] of model.polling ?? []) {
    await insert('source_looks', {
      source_id: id, active_bound_seconds: one.activeBoundSeconds, idle_bound_seconds: one.idleBoundSeconds, requests_per_minute: one.requestsPerMinute,
      wanted_per_minute: one.wantedPerMinute, held_until: one.heldUntil, held_reason: one.heldReason,
    });
    await insert('source_reader_looks', { source_id: id, bound_seconds: one.readersBoundSeconds });
    if (one.people !== null) await insert('source_people_looks', { source_id: id, active: one.people.active, asked: one.people.asked, bound_seconds: one.people.boundSeconds });
  }
  for (const one of model.versions) {
    const row = {
      codebase_id: one.codebaseId, ref: one.ref, position: one.position, state: one.state, commit_id: one.commit, commit_time: one.commitTime, tree_id: one.tree,
      object_format: one.objectFormat, sync_id: one.sync, stored_at: one.storedAt, observed_at: one.observedAt,
    };
    await insert('read_model.versions', row);
    await pool.query('delete from read_model.refs where codebase_id = $1 and ref = $2', [one.codebaseId, one.ref]);
    await insert('read_model.refs', row);
  }
  for (const one of model.syncs) {
    await insert('read_model.syncs', {
      sync_id: one.id, codebase_id: one.codebaseId, ref: one.ref, cause_id: one.cause, correlation_id: one.correlationId, state: one.state, reason: one.reason, detail: one.detail,
      covered_by: one.coveredBy, commit_id: one.commit, tree_id: one.tree, hint_reached: one.hintReached, attempt: one.attempt, begun_at: one.begunAt, fetched_at: one.fetchedAt,
      scanned_at: one.scannedAt, ended_at: one.endedAt, counts: one.counts, bytes: one.bytes, objects_added: one.objectsAdded,
    });
  }
  for (const one of model.facts) await insert('read_model.fact_index', { position: one.position, key: one.key, stream: one.stream, revision: one.revision, type: one.type, fact_id: one.id ?? '', correlation_id: one.correlationId ?? '', time: one.time ?? '' });
  for (const [n, key] of model.unfolded.entries()) await insert('read_model.unfolded', { position: String(n), fact_id: 'f', key, type: 't', error: 'e' });
  for (const [id, progress] of model.progress) await pool.query('insert into sync_progress (sync_id, progress) values ($1, $2)', [id, JSON.stringify(progress)]);
}

import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Pool } from 'pg';
import { BEGINNING, type GitLabProjectId, type Position, type ProjectId, type SourceId, type StreamName } from '#schemas/brand.ts';
import type { FactType, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, peopleStream, projectStream, sourceStream } from '#schemas/ids.ts';
import type { BeyondMembers, GitLab, GitLabMember } from '#shared/gitlab/gitlab.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createPostgresReadStore } from '#shared/read-store/postgres-read-store.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { freshDatabase, type FreshDatabase } from '#tests/harness/postgres.ts';
import { lookAtReaders } from '../scheduler/look-at-readers.ts';
import { foldPage } from './fold-page.ts';

// Any history of what makes somebody a reader, looked up by the real look, folded into real tables, against a model that keeps nothing but sets.

let database: FreshDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  const owners = ['projector', 'scheduler', 'identity'].map((name) => ({ name, directory: new URL(`../${name}/migrations/`, import.meta.url).pathname }));
  await migrate({ url: database.url, owners });
  pool = createPool(database.url, { connectionsMax: 2, applicationName: 'who-reads-test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const USERS = [1, 2, 3].map(() => randomUUID());

type Answer = { readonly kind: 'whole'; readonly members: readonly GitLabMember[]; readonly beyondMembers: BeyondMembers } | { readonly kind: 'away' | 'refused' | 'absent' | 'empty' };
type Step =
  | { readonly kind: 'codebase'; readonly project: number; readonly codebase: number; readonly isIn: boolean }
  | { readonly kind: 'reading'; readonly project: number; readonly codebase: number; readonly isGiven: boolean }
  | { readonly kind: 'member'; readonly project: number; readonly user: number; readonly isIn: boolean }
  | { readonly kind: 'project'; readonly project: number; readonly what: 'archived' | 'restored' | 'removed' }
  | { readonly kind: 'look'; readonly codebase: number; readonly answer: Answer }
  | { readonly kind: 'bind'; readonly user: number; readonly gitlabUser: number | null }
  | { readonly kind: 'life'; readonly codebase: number }
  | { readonly kind: 'open'; readonly isOpen: boolean }
  | { readonly kind: 'fold' };

const [project, codebase, user] = [fc.nat(1), fc.nat(2), fc.nat(2)];
const member: fc.Arbitrary<GitLabMember> = fc.record({
  userId: fc.integer({ min: 1, max: 4 }), level: fc.constantFrom(5, 10, 15, 20, 25, 30, 50), isActive: fc.boolean(), expiresAt: fc.constantFrom(null, null, '2026-01-01', '2026-01-02', '2026-01-03'),
});
const answer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('whole' as const), members: fc.uniqueArray(member, { selector: ({ userId }) => userId, minLength: 1, maxLength: 4 }), beyondMembers: fc.constantFrom('nobody' as const, 'nobody' as const, 'signed-in' as const, 'everybody' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('away' as const, 'refused' as const, 'absent' as const, 'empty' as const) }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('codebase' as const), project, codebase, isIn: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('reading' as const), project, codebase, isGiven: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('member' as const), project, user, isIn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('project' as const), project, what: fc.constantFrom('archived' as const, 'restored' as const, 'removed' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('look' as const), codebase, answer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('bind' as const), user, gitlabUser: fc.option(fc.integer({ min: 1, max: 4 })) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('life' as const), codebase }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('open' as const), isOpen: fc.boolean() }) },
  { weight: 5, arbitrary: fc.constant({ kind: 'fold' as const }) },
);

const NOW = new Date('2026-01-02T12:00:00.000Z');

/** What a person would keep on a sheet of paper. */
function createModel() {
  const projects = [0, 1].map(() => ({ codebases: new Set<number>(), read: new Set<number>(), members: new Set<number>(), isRemoved: false }));
  const gitlab = [0, 1, 2].map(() => new Set<number>());
  const beyond: BeyondMembers[] = ['nobody', 'nobody', 'nobody'];
  const source = { isOpen: false };
  const isAlive = [true, true, true];
  const bound = new Map<number, number>();
  return {
    projects, gitlab, beyond, source, isAlive, bound,
    mayRead: (who: number, what: number) => gitlab[what]!.has(bound.get(who) ?? 0) || (source.isOpen && beyond[what] !== 'nobody')
      || projects.some(({ codebases, read, members, isRemoved }) => !isRemoved && members.has(who) && codebases.has(what) && read.has(what)),
  };
}
/** Reporter or more, active, and a last day that has not begun: written down here a second time. */
const isReader = ({ level, isActive, expiresAt }: GitLabMember) => [20, 25, 30, 50].includes(level) && isActive && expiresAt !== '2026-01-01' && expiresAt !== '2026-01-02';

test('whatever was given, taken, looked up, not answered, looked up behind the tables, bound and deleted: each reads what the model says, one by one and in lists', async () => {
  const seeds = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 50 }), fc.integer({ min: 1, max: 7 }), async (steps, pageSize) => {
    const world = await createWorld(pageSize);
    const model = createModel();
    for (const one of steps) await taken(world, model, one);
    await world.fold();

    for (const [who, userId] of USERS.entries()) {
      const expected = world.codebases.filter((_, what) => model.mayRead(who, what)).sort();
      expect([...await world.store.readable(userId, world.codebases)].sort()).toEqual(expected);
      const alive = expected.filter((id) => model.isAlive[world.codebases.indexOf(id)]);
      expect((await world.store.codebases({ after: '', limit: 10, readableBy: userId })).map(({ id }) => id)).toEqual(alive);
    }
  });
  await fc.assert(seeds, { numRuns: Number(process.env['SEEDS'] ?? 60) });
}, 300_000);

type World = Awaited<ReturnType<typeof createWorld>>;

/** Does a step, and notes on the sheet what must come of it. */
async function taken(world: World, model: ReturnType<typeof createModel>, one: Step): Promise<void> {
  const at = 'project' in one ? model.projects[one.project]! : undefined;
  // A project that is removed takes no command but to be restored.
  if (at?.isRemoved === true && (one.kind !== 'project' || one.what !== 'restored')) return;
  const put = (set: Set<number>, value: number, isIn: boolean) => void (isIn ? set.add(value) : set.delete(value));
  switch (one.kind) {
    case 'codebase':
      await world.decided(one.project, one.isIn ? 'project.codebase-added' : 'project.codebase-removed', { codebaseId: world.codebases[one.codebase] });
      put(at!.codebases, one.codebase, one.isIn);
      if (!one.isIn) at!.read.delete(one.codebase);
      return;
    case 'reading':
      if (one.isGiven && !at!.codebases.has(one.codebase)) return;
      await world.decided(one.project, one.isGiven ? 'project.reading-given' : 'project.reading-taken', { codebaseId: world.codebases[one.codebase] });
      put(at!.read, one.codebase, one.isGiven);
      return;
    case 'member':
      await world.decided(one.project, one.isIn ? 'project.member-added' : 'project.member-removed', { userId: USERS[one.user], ...(one.isIn ? { role: 'member' } : {}) });
      put(at!.members, one.user, one.isIn);
      return;
    case 'project':
      await world.decided(one.project, `project.${one.what}`, {});
      at!.isRemoved = one.what === 'removed';
      return;
    case 'look': {
      const before = await world.store.codebase(world.codebases[one.codebase]!);
      const look = await world.look(one.codebase, one.answer);
      // Nothing but a whole answer, in step with the tables, changes who reads.
      expect([one.answer.kind, look.kind]).toEqual([one.answer.kind, before?.state === 'deleted' ? 'left' : one.answer.kind === 'whole' ? expect.stringMatching(/^(?:seen|behind)$/) : 'unanswered']);
      if (one.answer.kind !== 'whole' || look.kind !== 'seen') return;
      model.beyond[one.codebase] = one.answer.beyondMembers;
      model.gitlab[one.codebase] = new Set(one.answer.members.filter(isReader).map(({ userId }) => userId));
      return;
    }
    case 'bind':
      if (one.gitlabUser !== null && [...model.bound].some(([who, gitlabUser]) => who !== one.user && gitlabUser === one.gitlabUser)) return;
      await world.bind(USERS[one.user]!, one.gitlabUser);
      if (one.gitlabUser === null) model.bound.delete(one.user);
      else model.bound.set(one.user, one.gitlabUser);
      return;
    case 'life':
      // Both are told when the tables are there, as they are by a person or days later.
      await world.fold();
      await (model.isAlive[one.codebase]! ? world.deleted(one.codebase) : world.registered(one.codebase));
      await world.fold();
      model.isAlive[one.codebase] = !model.isAlive[one.codebase];
      model.gitlab[one.codebase] = new Set();
      model.beyond[one.codebase] = 'nobody';
      return;
    case 'open':
      await world.opened(one.isOpen);
      model.source.isOpen = one.isOpen;
      return;
    case 'fold': await world.fold(); return;
    default: one satisfies never;
  }
}

async function createWorld(pageSize: number) {
  const log = createMemoryEventLog();
  const store = createPostgresReadStore({ pool });
  const source = randomUUID() as SourceId;
  const codebases = [1, 2, 3].map((id) => codebaseIdOf(source, id as GitLabProjectId));
  const projects = [1, 2].map(() => randomUUID() as ProjectId);
  const command = { id: 'c', digest: '0'.repeat(64) };
  const revisions = new Map<StreamName, number>();
  let folded: Position = BEGINNING;

  async function say<Type extends FactType>(stream: StreamName, type: Type, { key, data }: { key: string; data: object }): Promise<void> {
    const fact = newFact<Type>({ type, key, data: data as NewFact<Type>['data'], actor: { kind: 'worker', id: 'test' }, correlationId: 'c', causationId: null, time: NOW });
    const appended = await log.append(stream, revisions.get(stream) ?? 'noStream', [fact as NewFact]);
    if (appended.kind !== 'appended') throw new Error(`${type} was refused`);
    revisions.set(stream, appended.revision);
  }
  const registered = (nth: number) => say(codebaseStream(codebases[nth]!), 'codebase.registered', {
    key: codebases[nth]!, data: { codebaseId: codebases[nth], sourceId: source, gitlabProjectId: nth + 1, path: 'a', followed: { branches: ['*'], tags: [] }, command },
  });
  const world = {
    store, codebases, registered,
    deleted: (nth: number) => say(codebaseStream(codebases[nth]!), 'codebase.deleted', { key: codebases[nth]!, data: { codebaseId: codebases[nth] } }),
    opened: (isOpen: boolean) => say(sourceStream(source), 'source.open-projects-decided', { key: source, data: { sourceId: source, readBy: isOpen ? 'signed-in' : 'members', command } }),
    decided: (nth: number, type: FactType, data: object) => say(projectStream(projects[nth]!), type, { key: projects[nth]!, data: { projectId: projects[nth], ...data, command } }),
    look: (nth: number, given: Answer) => lookAtReaders({ log, store, now: () => NOW }, { id: codebases[nth]!, gitlab: gitlabThatSays(given), hint: undefined })
      .catch((error: unknown) => { if (error instanceof Unavailable) return { kind: 'unanswered' } as const; throw error; }),
    async bind(userId: string, gitlabUser: number | null): Promise<void> {
      await say(peopleStream(source), gitlabUser === null ? 'user.gitlab-unbound' : 'user.gitlab-bound', { key: userId, data: { userId, sourceId: source, gitlabUserId: gitlabUser ?? 1 } });
    },
    async fold(): Promise<void> {
      const facts = await factsAfter(log, folded);
      for (let from = 0; from < facts.length; from += pageSize) await foldOne(facts.slice(from, from + pageSize));
      folded = facts.at(-1)?.position ?? folded;
    },
  };
  await emptied();
  await say(sourceStream(source), 'source.registered', { key: source, data: { sourceId: source, name: 'g', baseUrl: 'https://gitlab.example.com', command } });
  for (const nth of codebases.keys()) await registered(nth);
  for (const nth of projects.keys()) await world.decided(nth, 'project.created', { name: 'p' });
  await world.fold();
  return world;
}

function gitlabThatSays(given: Answer): GitLab {
  const answered = <T>(value: T) => {
    if (given.kind === 'away') throw new Unavailable('gitlab', '502');
    if (given.kind === 'refused') return { kind: 'refused', status: 403, detail: '403 Forbidden' } as const;
    return given.kind === 'absent' ? ({ kind: 'absent', detail: '404 Project Not Found' } as const) : ({ kind: 'ok', value } as const);
  };
  // The project is shown though its members are not, as to a token that was taken out of it.
  return { project: async () => ({ kind: 'ok', value: { beyondMembers: given.kind === 'whole' ? given.beyondMembers : 'everybody' } }), members: async () => answered(given.kind === 'whole' ? given.members : []) } as unknown as GitLab;
}

async function factsAfter(log: EventLog, after: Position): Promise<Recorded[]> {
  const found: Recorded[] = [];
  for await (const { facts, isCaughtUp } of log.subscribe({ after, prefixes: [], signal: new AbortController().signal })) {
    found.push(...facts);
    if (isCaughtUp) break;
  }
  return found;
}

async function foldOne(facts: readonly Recorded[]): Promise<void> {
  const client = await pool.connect();
  try {
    await foldPage(client, 'read_model', { facts, position: facts.at(-1)!.position });
  } finally {
    client.release();
  }
}

async function emptied(): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'read_model' and tablename <> 'progress'`);
  await pool.query(`truncate ${rows.map(({ name }) => `read_model.${name}`).join(', ')}, identity_users cascade`);
  for (const id of USERS) await pool.query(`insert into identity_users (user_id, name, password_hash, is_one_time, is_system_admin, created_at) values ($1, $1, 'none', false, false, now())`, [id]);
}

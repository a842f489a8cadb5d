import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { CodebaseId, GitLabProjectId, ProjectId, SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, projectStream } from '#schemas/ids.ts';
import { applyToCodebase, type CodebaseState } from '#shared/lifecycles/codebase-state.ts';
import { applyToProject, type ProjectState } from '#shared/lifecycles/project-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { createMemorySecretVault } from '#shared/secrets/memory-secret-vault.ts';
import { onChangeCodebase, type CodebaseCommand } from './change-codebase.ts';
import { onChangeProject, onCreateProject, type ProjectCommand } from './change-project.ts';
import type { Outcome } from './decide.ts';
import type { IfMatch } from './if-match.ts';

const SOURCE = randomUUID() as SourceId;
const CODEBASES = [1, 2].map((id) => codebaseIdOf(SOURCE, id as GitLabProjectId)) as [CodebaseId, CodebaseId];
const actor = { kind: 'token', id: 't' } as const;
const ALL = { branches: ['*'], tags: [] };

/** Commands over a log whose answers come in any order, and the table of keys, in memory. */
async function createWorld() {
  const memory = createMemoryEventLog();
  const keys = new Map<string, string>();
  const log: EventLog = {
    ...memory,
    append: async (...given) => { await turn(); return memory.append(...given); },
    readStream: async (...given) => { const read = await memory.readStream(...given); await turn(); return read; },
  };
  const query = (async (_sql: string, [owner, key, digest]: [string, string, string]) => {
    const name = `${owner} ${key}`;
    if (!keys.has(name)) keys.set(name, digest);
    return [{ digest: keys.get(name) }];
  }) as never;
  const deps = { log, query, vault: createMemorySecretVault(), now: () => new Date('2026-01-01T00:00:00Z'), sources: { settings: async () => ({}) as never } };
  for (const [n, codebaseId] of CODEBASES.entries()) {
    await memory.append(codebaseStream(codebaseId), 'noStream', [newFact({
      type: 'codebase.registered', key: codebaseId, actor, correlationId: 'x', causationId: null, time: deps.now(),
      data: { codebaseId, sourceId: SOURCE, gitlabProjectId: (n + 1) as GitLabProjectId, path: null, followed: ALL, command: { id: 'x', digest: '0'.repeat(64) } },
    })]);
  }
  const { state: project } = await onCreateProject(deps, { name: 'one' }, { actor, key: 'create' });
  return {
    deps, project: project.id,
    facts: async (stream: Parameters<EventLog['readStream']>[0]) => (await memory.readStream(stream, { limit: 1_000 })) as unknown as Fact[],
    /** What the engine notes by itself. */
    note: async (codebaseId: CodebaseId) => {
      const stream = codebaseStream(codebaseId);
      const at = (await memory.readStream(stream, { limit: 1_000 })).length - 1;
      await memory.append(stream, at, [newFact({ type: 'hook.refused', key: codebaseId, actor: { kind: 'scheduler', id: 'hooks' }, correlationId: 'x', causationId: null, time: deps.now(), data: { codebaseId, sourceId: SOURCE, reason: 'no' } })]);
    },
  };
}

type World = Awaited<ReturnType<typeof createWorld>>;
type Ended = { readonly status: number; readonly answer: string; readonly outcome: Outcome<CodebaseState | ProjectState> | undefined };

async function ended(run: Promise<Outcome<CodebaseState | ProjectState>>): Promise<Ended> {
  try {
    const outcome = await run;
    const { revision, standing } = outcome.state;
    return { status: 200, answer: JSON.stringify([revision, standing, outcome.fact?.id]), outcome };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { status: error.status, answer: error.code, outcome: undefined };
  }
}

const KINDS = ['archive', 'restore', 'remove', 'follow'] as const;
const PROJECT_KINDS = ['archive', 'restore', 'remove', 'rename', 'add-codebase', 'remove-codebase'] as const;

interface Step { readonly on: 0 | 1 | 2; readonly kind: number; readonly seen: number | 'any'; readonly copies: number; readonly notes: boolean }

const step: fc.Arbitrary<Step> = fc.record({
  on: fc.constantFrom(0, 1, 2), kind: fc.nat({ max: 11 }), seen: fc.oneof(fc.constant('any' as const), fc.nat({ max: 12 })), copies: fc.integer({ min: 1, max: 3 }), notes: fc.boolean(),
});

function send(world: World, { on, kind, seen }: Step, key: string): Promise<Ended> {
  const ifMatch: IfMatch = seen;
  if (on === 2) {
    const verb = PROJECT_KINDS[kind % PROJECT_KINDS.length] ?? 'archive';
    const command = { kind: verb, ...(verb === 'rename' ? { name: `name ${kind}` } : {}), ...(verb.endsWith('codebase') ? { codebase: CODEBASES[kind % 2 as 0 | 1] } : {}) } as ProjectCommand;
    return ended(onChangeProject(world.deps, world.project, { actor, key, ifMatch, command }));
  }
  const verb = KINDS[kind % KINDS.length] ?? 'archive';
  const command: CodebaseCommand = verb === 'follow' ? { kind: verb, followed: kind > 5 ? ALL : { branches: ['main'], tags: [] } } : { kind: verb };
  return ended(onChangeCodebase(world.deps, CODEBASES[on], { actor, key, ifMatch, command }));
}

/** Which standing each decision may follow, and that each decides something. */
const MAY_FOLLOW: Record<string, readonly string[]> = {
  'codebase.archived': ['active'], 'codebase.restored': ['archived', 'removed'], 'codebase.removed': ['active', 'archived'], 'codebase.changed': ['active', 'archived'],
  'project.archived': ['active'], 'project.restored': ['archived', 'removed'], 'project.removed': ['active', 'archived'],
  'project.renamed': ['active', 'archived'], 'project.codebase-added': ['active', 'archived'], 'project.codebase-removed': ['active', 'archived'],
};

function isConsistent<State extends { standing: string }>(facts: readonly Fact[], apply: (before: State | undefined, fact: Fact) => State | undefined): State {
  let state: State | undefined;
  for (const fact of facts) {
    const may = MAY_FOLLOW[fact.type];
    if (may !== undefined) expect([fact.type, may.includes(state?.standing ?? '')]).toEqual([fact.type, true]);
    state = apply(state, fact);
  }
  const marks = facts.flatMap((fact) => ('command' in fact.data ? [fact.data.command.id] : []));
  expect(new Set(marks).size).toBe(marks.length);
  return state as State;
}

/** Nobody decided anything between what was seen and what came of it. */
function sawWhatItChanged(facts: readonly Fact[], { seen }: Step, fact: Fact): void {
  if (seen === 'any') return;
  const between = facts.filter((one) => one.revision > seen && one.revision < fact.revision && 'command' in one.data);
  expect(between.map(({ type }) => type)).toEqual([]);
  expect(seen).toBeLessThan(fact.revision);
}

/** Invariants I2 and I4. */
test('any commands, repeated, at once and from old states, leave each stream consistent, and each answer is that of its first time', async () => {
  let decided = 0;
  await fc.assert(fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }), async (rounds) => {
    const world = await createWorld();
    const first = new Map<string, { step: Step; answers: Ended[] }>();
    for (const [n, round] of rounds.entries()) {
      await Promise.all(round.flatMap((one, m) => {
        const key = `${n}.${m}`;
        const entry = { step: one, answers: [] as Ended[] };
        first.set(key, entry);
        const notes = one.notes && one.on !== 2 ? [world.note(CODEBASES[one.on])] : [];
        return [...notes, ...Array.from({ length: one.copies }, async () => void entry.answers.push(await send(world, one, key)))];
      }));
    }
    const facts = { 0: await world.facts(codebaseStream(CODEBASES[0])), 1: await world.facts(codebaseStream(CODEBASES[1])), 2: await world.facts(projectStream(world.project)) };
    isConsistent<CodebaseState>(facts[0], applyToCodebase);
    isConsistent<CodebaseState>(facts[1], applyToCodebase);
    isConsistent<ProjectState>(facts[2], applyToProject());

    for (const [key, { step: one, answers }] of first) {
      const fact = facts[one.on].find((recorded) => 'command' in recorded.data && recorded.data.command.id === key);
      if (fact === undefined) { expect(answers.filter(({ outcome }) => outcome?.fact !== undefined)).toEqual([]); continue; }
      decided += 1;
      sawWhatItChanged(facts[one.on], one, fact);
      // Also long after others have decided: sent once more, it is answered as the first time, and changes nothing.
      const again = await send(world, one, key);
      const told = new Set([...answers, again].filter(({ outcome }) => outcome?.fact !== undefined).map(({ answer }) => answer));
      expect([again.status, told.size]).toEqual([200, 1]);
      expect((await send(world, { ...one, kind: one.kind + 1 }, key)).answer).toBe('idempotency-key-reused');
    }
    expect((await world.facts(projectStream(world.project)))).toHaveLength(facts[2].length);
  }), { numRuns: 150 });
  expect(decided).toBeGreaterThan(300);
});

test('the same revision seen by two: one decides, the other is told 412; what the engine noted since is no conflict', async () => {
  const world = await createWorld();
  await world.note(CODEBASES[0]);
  const change = (key: string, kind: 'archive' | 'remove', seen: number) => ended(onChangeCodebase(world.deps, CODEBASES[0], { actor, key, ifMatch: seen, command: { kind } }));
  const answers = await Promise.all([change('a', 'archive', 0), change('b', 'remove', 0)]);
  expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412]);
  expect((await change('c', 'archive', 99)).status).toBe(412);
});

test('of what is not there nothing can be decided', async () => {
  const world = await createWorld();
  const [nowhere, key] = [randomUUID(), 'k'];
  expect(await ended(onChangeCodebase(world.deps, nowhere as CodebaseId, { actor, key, ifMatch: 'any', command: { kind: 'archive' } }))).toMatchObject({ status: 404, answer: 'codebase-unknown' });
  expect(await ended(onChangeProject(world.deps, nowhere as ProjectId, { actor, key: 'l', ifMatch: 'any', command: { kind: 'archive' } }))).toMatchObject({ status: 404, answer: 'project-unknown' });
  expect(await ended(onChangeProject(world.deps, world.project, { actor, key: 'm', ifMatch: 'any', command: { kind: 'add-codebase', codebase: nowhere as CodebaseId } }))).toMatchObject({ status: 404, answer: 'codebase-unknown' });
});

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pool } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { CodebaseId, FactId, GitLabProjectId, ObjectId, RefName, SourceId, StreamName, SyncId } from '#schemas/brand.ts';
import type { FactType, NewFact } from '#schemas/events/facts.ts';
import { codebaseIdOf, codebaseStream, commandStream, syncIdOf, syncStream } from '#schemas/ids.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createPostgresEventLog, eventLogMigrations } from '#shared/log/postgres-event-log.ts';
import { startEmbeddedPostgres } from '#shared/postgres/embedded-server.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { migrationsDirectory } from '#shared/postgres/migrations-directory.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { createRebuild } from '../services/projector/replay/rebuild.ts';
import type { Measure } from './main.ts';
import { processorTime } from './processor-time.ts';

/** A working day of a big team: 500 codebases, 25,000 pushes, four facts a push. */
const CODEBASES = 500;
const PUSHES = 25_000;
const WRITERS = 32;

/** Folding the whole log into empty tables, against reading the log's bytes out of the same Postgres. */
export async function benchReplay(): Promise<Measure[]> {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'tekai-bench-'));
  const server = await startEmbeddedPostgres({ stateDir });
  const pool = createPool(server.url, { connectionsMax: 40, applicationName: 'bench', statementMsMax: 0 });
  try {
    await migrate({ url: server.url, owners: [eventLogMigrations, { name: 'projector', directory: migrationsDirectory(new URL('../services/projector/owner', import.meta.url).href) }] });
    const log = createPostgresEventLog({ pool });
    await fill(log);
    await pool.query('vacuum analyze');
    const copied = await processorTime(() => copyLog(pool));
    const rebuild = await createRebuild({ log, pool }, 'bench_replay');
    const head = await log.head();
    const folded = await processorTime(async () => { await rebuild.foldTo(head, new AbortController().signal); await rebuild.buildIndexes(); });
    const facts = rebuild.facts();
    const [ours, reference] = [facts / (folded.wallMs / 1_000), facts / (copied.wallMs / 1_000)];
    const aSecond = (seconds: number) => Math.round(facts / seconds).toLocaleString('en');
    return [
      { name: `replay of ${facts} facts`, ours: `${Math.round(ours)}/s`, reference: `COPY of the log to stdout ${Math.round(reference)}/s`, ratio: ours / reference, goal: '≥ 25,000/s, ≥ 0.20' },
      { name: 'replay, a second of the processor', ours: `${aSecond(folded.node + folded.postgres)}/s`, reference: `Node alone ${aSecond(folded.node)}/s, Postgres alone ${aSecond(folded.postgres)}/s`, ratio: (copied.node + copied.postgres) / (folded.node + folded.postgres), goal: '≥ 25,000/s' },
    ];
  } finally {
    await pool.end();
    await server.stop();
    await rm(stateDir, { recursive: true, force: true });
  }
}

async function copyLog(pool: Pool): Promise<void> {
  const client = await pool.connect();
  await pipeline(client.query(copyTo('copy (select * from log_facts order by position) to stdout')), new Writable({ write: (_piece, _encoding, done) => done() }));
  client.release();
}

async function fill(log: EventLog): Promise<void> {
  const source = randomUUID() as SourceId;
  const codebases = Array.from({ length: CODEBASES }, (_, n) => codebaseIdOf(source, (n + 1) as GitLabProjectId));
  for (const [n, id] of codebases.entries()) await log.append(codebaseStream(id), 'noStream', [registered(source, id, n + 1)]);
  let push = 0;
  await Promise.all(Array.from({ length: WRITERS }, async () => {
    while ((push += 1) <= PUSHES) await appendPush(log, codebases[push % CODEBASES]!, push);
  }));
}

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0');
const REF = 'refs/heads/main' as RefName;
const made = <Type extends FactType>(type: Type, key: string, data: NewFact<Type>['data'], causationId: FactId | null = null) =>
  newFact<Type>({ type, key, data, actor: { kind: 'worker', id: 'bench' }, time: new Date(), correlationId: randomUUID(), causationId });

const registered = (sourceId: SourceId, codebaseId: CodebaseId, project: number) => made('codebase.registered', codebaseId, {
  codebaseId, sourceId, gitlabProjectId: project as GitLabProjectId, path: `bench/p${project}`, followed: { branches: ['*'], tags: [] }, command: { id: 'x', digest: '0'.repeat(64) },
});

async function appendPush(log: EventLog, codebaseId: CodebaseId, n: number): Promise<void> {
  const cause = made('sync.requested', codebaseId, { codebaseId, ref: REF, command: { id: String(n), digest: '0'.repeat(64) } });
  await log.append(commandStream('bench', randomUUID()) as StreamName, 'noStream', [cause]);
  const syncId = syncIdOf(cause.id, codebaseId, REF) as SyncId;
  const state = {
    syncId, codebaseId, ref: REF, commit: hex(n, 40) as ObjectId, commitTime: cause.time, tree: hex(n + 1_000_000, 40) as ObjectId, objectFormat: 'sha1' as const,
    defaultRef: REF, observedAt: cause.time, hintReached: true,
  };
  const counts = { commits: 1, trees: 3, blobs: 1 };
  await log.append(syncStream(syncId), 'noStream', [
    made('codebase.fetched', codebaseId, { ...state, packs: [], counts, bytes: 4_000, attempt: 1 }, cause.id),
    made('codebase.scanned', codebaseId, { ...state, packs: [], counts, findings: null, attempt: 1 } as never, cause.id),
    made('codebase.stored', codebaseId, { ...state, counts, objectsAdded: 5 }, cause.id),
  ]);
}

import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { CodebaseId, ObjectId } from '#schemas/brand.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPostgresRefVectors } from '#shared/read-store/postgres-ref-vectors.ts';
import { blobOf, treeOf, type MadeEntry } from '#tests/harness/git-objects.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import type { FeedDeps } from './feed.ts';

export const PROJECT = '99999999-9999-4999-8999-999999999999';
export type Files = ReadonlyMap<string, string>;
/** Chance that can be repeated. */
export type Below = (count: number) => number;

/** mulberry32 */
export function chanceOf(seed: number): Below {
  let state = seed >>> 0;
  return (count) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * count);
  };
}

/** Thrown where a process would have died. */
export class Killed extends Error {}

/** The read tables as the projector would write them, trees in memory, and rights that can be taken at any moment. */
export interface FollowerWorld {
  readonly pool: Pool;
  readonly deps: FeedDeps;
  readonly denied: Set<string>;
  /** Called before each tree is read: where something may happen while a page is made. */
  hook: () => Promise<void>;
  /** How many more statements go well; undefined: all. */
  statementsLeft: number | undefined;
  empty(): Promise<void>;
  register(id: CodebaseId): Promise<void>;
  push(id: CodebaseId, ref: string, files: Files): Promise<void>;
  deleteRef(id: CodebaseId, ref: string): Promise<void>;
  set(id: CodebaseId, columns: { state?: string; default_ref?: string; is_member?: boolean }): Promise<void>;
  /** A fact that changes nothing for anybody. */
  pass(): Promise<void>;
  close(): Promise<void>;
}

export async function createFollowerWorld(): Promise<FollowerWorld> {
  const database = await freshDatabase();
  const owners = ['projector', 'notifier'].map((name) => ({ name, directory: `services/${name}/migrations` }));
  await migrate({ url: database.url, owners });
  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'test' });
  // What is shown here does not depend on the disk.
  await pool.query(`alter database ${new URL(database.url).pathname.slice(1)} set synchronous_commit = off`);
  const trees = new Map<string, Buffer>();
  let count = 0;

  const reader: Pick<ObjectReader, 'stream'> = {
    async stream(id) {
      await world.hook();
      const bytes = trees.get(id);
      return bytes === undefined ? undefined : { id, kind: 'tree', bytes: bytes.length, content: (async function* () { yield bytes; })() };
    },
  };
  const atNext = async (statements: readonly (readonly [sql: string, values: readonly unknown[]])[]) => {
    count += 1;
    const position = `p${String(count).padStart(8, '0')}`;
    // Tables and position move together, as the projector's do.
    const client = await pool.connect();
    await client.query('begin');
    for (const [sql, values] of statements) await client.query(sql.replaceAll(':position', `'${position}'`), [...values]);
    await client.query('update read_model.progress set position = $1', [position]);
    await client.query('commit');
    client.release();
  };
  const moved = (id: CodebaseId, ref: string, { state, tree }: { state: string; tree: string | null }) => {
    const values = [id, ref, state, tree === null ? null : randomHex(), tree];
    const columns = 'codebase_id, ref, position, state, commit_id, tree_id, sync_id, stored_at, observed_at';
    return atNext([
      [`insert into read_model.refs (${columns}) values ($1, $2, :position, $3, $4, $5, '', '', '') on conflict (codebase_id, ref) do update set position = :position, state = $3, commit_id = $4, tree_id = $5`, values],
      [`insert into read_model.versions (${columns}) values ($1, $2, :position, $3, $4, $5, '', '', '')`, values],
    ]);
  };

  const world: FollowerWorld = {
    pool,
    denied: new Set(),
    hook: async () => undefined,
    statementsLeft: undefined,
    deps: {
      pool: dyingPool(pool, () => world), reader, epoch: 'an epoch', queuedGroupsMax: 12,
      vectors: createPostgresRefVectors({ pool }),
      readable: async (_actor, codebases) => new Set(codebases.filter((one) => !world.denied.has(one))),
    },
    async empty() {
      world.denied.clear();
      await pool.query('truncate followers, read_model.codebases, read_model.refs, read_model.versions, read_model.project_codebases cascade');
      await world.pass();
    },
    register: (id) => atNext([
      [`insert into read_model.codebases (codebase_id, source_id, gitlab_project_id, followed, default_ref, hook_state, registered_at) values ($1, '', 1, '{}', 'refs/heads/main', 'pending', '')`, [id]],
      ['insert into read_model.project_codebases values ($1, $2, true)', [PROJECT, id]],
    ]),
    push: (id, ref, files) => moved(id, ref, { state: 'stored', tree: storeTree(trees, files) }),
    deleteRef: (id, ref) => moved(id, ref, { state: 'deleted', tree: null }),
    set: (id, { state, default_ref, is_member }) => atNext([
      ['update read_model.codebases set state = coalesce($2, state), default_ref = coalesce($3, default_ref) where codebase_id = $1', [id, state ?? null, default_ref ?? null]],
      ['update read_model.project_codebases set is_member = coalesce($2, is_member) where codebase_id = $1', [id, is_member ?? null]],
    ]),
    pass: () => atNext([]),
    async close() {
      await pool.end();
      await database.drop();
    },
  };
  return world;
}

const randomHex = () => randomUUID().replaceAll('-', '').padEnd(40, '0');

/** Writes a tree and what is below it; a submodule needs no object. */
function storeTree(trees: Map<string, Buffer>, files: Files): ObjectId {
  const folders = new Map<string, Map<string, string>>();
  const entries: MadeEntry[] = [];
  for (const [path, content] of files) {
    const slash = path.indexOf('/');
    if (slash < 0) { entries.push([content.startsWith('x') ? '100755' : '100644', Buffer.from(path, 'latin1'), blobOf(content).id]); continue; }
    const folder = folders.get(path.slice(0, slash)) ?? new Map<string, string>();
    folders.set(path.slice(0, slash), folder.set(path.slice(slash + 1), content));
  }
  for (const [name, below] of folders) entries.push(['40000', Buffer.from(name, 'latin1'), storeTree(trees, below)]);
  const tree = treeOf(entries);
  trees.set(tree.id, tree.content);
  return tree.id;
}

/** A pool whose statements fail from some moment on, before or after they had their effect, as when the process dies there. */
function dyingPool(pool: Pool, world: () => FollowerWorld): Pool {
  const step = async <T>(run: () => Promise<T>): Promise<T> => {
    const left = world().statementsLeft;
    if (left === undefined) return run();
    if (left <= 0) throw new Killed('died before a statement');
    world().statementsLeft = left - 1;
    const result = await run();
    if (left - 1 <= 0) throw new Killed('died after a statement');
    return result;
  };
  return {
    async connect() {
      const client = await pool.connect();
      return { query: (sql: string, values: unknown[]) => step(() => client.query(sql, values)), release: (broken: boolean) => client.release(broken) } as unknown as PoolClient;
    },
    query: (sql: string, values: unknown[]) => step(() => pool.query(sql, values)),
  } as unknown as Pool;
}

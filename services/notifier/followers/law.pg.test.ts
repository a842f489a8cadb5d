import type { CodebaseId } from '#schemas/brand.ts';
import type { FollowerEntry, SnapshotLine } from '#schemas/api/followers.ts';
import { positionInside } from '#schemas/positions.ts';
import { acknowledge } from './acknowledge.ts';
import { parseCursor } from './cursor.ts';
import { nextPage, type Page } from './feed.ts';
import { createFollower, findFollower } from './follower-store.ts';
import { chanceOf, createFollowerWorld, Killed, PROJECT, type Below, type Files, type FollowerWorld } from './follower-world.fixture.ts';
import { ModelClient } from './model-client.fixture.ts';
import { snapshotLines } from './snapshot.ts';

// The law: at any acknowledged end of the feed, held state = a new snapshot by the same caller at that position, byte for byte.

const SEEDS = Number(process.env['TEKAI_FOLLOWER_SEEDS'] ?? 80);
const FIRST_SEED = Number(process.env['TEKAI_FOLLOWER_SEED'] ?? 1);
const STEPS = 40;
const ACTOR = { kind: 'token', id: 'somebody' } as const;
const IDS = ['a', 'b', 'c'].map((digit) => `${digit.repeat(8)}-aaaa-4aaa-8aaa-aaaaaaaaaaaa` as CodebaseId);
const REFS = ['refs/heads/main', 'refs/heads/dev', 'refs/heads/feature/x', 'refs/heads/d%_'];
/** Files become folders, names are bytes. */
const PATHS = ['a', 'a/b', 'a.b', 'a-b/c/d', 'a/b/c', 'b', 'f\xff', 'd/\xfc/\xe9', 'd/e'];
const WISHES = [{ all: true }, { project: PROJECT }, { codebases: IDS.slice(0, 2) }] as const;

let world: FollowerWorld;
beforeAll(async () => { world = await createFollowerWorld(); });
afterAll(() => world.close());

class History {
  readonly below: Below;
  readonly trees: Files[] = [new Map()];
  client = new ModelClient();
  /** What the client has written down before it acknowledged: it comes back with this after a crash of its own. */
  saved = new ModelClient();
  id = '';
  registered = 0;
  readonly old: string[] = [];
  readonly counts = { ends: 0, pages: 0, kills: 0, drops: 0, grants: 0, snapshots: 0, midGroup: 0 };
  /** The newest end, and whether scope and access have stayed as they were since. */
  lastEnd: { position: string; shown: string; scope: number; access: number } | undefined;
  scope = 0;
  access = 0;

  constructor(seed: number) { this.below = chanceOf(seed); }
  oneOf<T>(list: readonly T[]): T { return list[this.below(list.length)]!; }

  async begin(): Promise<void> {
    await world.empty();
    for (let n = 0; n < 2; n += 1) await this.change();
    const refs = this.oneOf([undefined, ['*'], ['main', 'refs/heads/d%_']]);
    const name = 'f';
    await createFollower({ pool: world.pool, vault: { put: async () => undefined, delete: async () => undefined }, now: () => new Date() }, ACTOR, { name, ...this.oneOf(WISHES), ...(refs === undefined ? {} : { refs }) } as never);
    this.id = (await findFollower(world.pool, ACTOR, name)).id;
  }

  /** Something happens in GitLab, to the follower's scope, or to its rights. */
  async change(): Promise<void> {
    if (this.registered === 0 || (this.registered < IDS.length && this.below(8) === 0)) { this.scope += 1; await world.register(IDS[this.registered++]!); return; }
    const id = this.oneOf(IDS.slice(0, this.registered));
    const ref = this.below(2) === 0 ? REFS[0]! : this.oneOf(REFS);
    const what = this.below(20);
    if (what < 9) { await world.push(id, ref, this.#files()); return; }
    if (what < 12) { await world.deleteRef(id, ref); return; }
    if (what === 12) { await world.pass(); return; }
    if (what < 17) this.scope += 1;
    else this.access += 1;
    if (what < 14) await world.set(id, { state: this.oneOf(['active', 'archived', 'removed', 'deleted']) });
    else if (what < 16) await world.set(id, { is_member: this.below(2) === 0 });
    else if (what === 16) await world.set(id, { default_ref: this.oneOf(REFS) });
    else if (this.below(2) === 0) world.denied.add(id);
    else world.denied.delete(id);
  }

  /** Changes a few files of any tree there ever was: of the newest as a push, of an older one as a force push. */
  #files(): Files {
    const files = new Map(this.below(4) === 0 ? this.oneOf(this.trees) : this.trees.at(-1));
    for (let n = this.below(5); n > 0; n -= 1) {
      const path = this.oneOf(PATHS);
      for (const other of [...files.keys()]) if (other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) files.delete(other);
      if (this.below(3) > 0) files.set(path, `${this.oneOf(['x', ''])}${this.below(4)}`);
    }
    this.trees.push(files);
    return files;
  }

  /** The server may die at any statement, and rights may change while a page is made. */
  async unsafely<T>(work: () => Promise<T>): Promise<T | undefined> {
    world.statementsLeft = this.below(6) === 0 ? this.below(25) : undefined;
    world.hook = async () => { if (this.below(25) === 0) await this.change(); };
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.counts.kills += 1;
      return undefined;
    } finally {
      world.statementsLeft = undefined;
      world.hook = async () => undefined;
    }
  }

  async poll(limit: number): Promise<void> {
    // After a crash, and sometimes for no reason, from where the server believes it to be.
    const after = this.client.cursor === undefined || this.below(6) === 0 ? undefined : parseCursor(world.deps.epoch, this.client.cursor);
    const { scope } = this;
    const page = await this.unsafely(() => nextPage(world.deps, this.id, { after, limit }));
    if (page === undefined) return;
    this.counts.pages += 1;
    await this.#take(page, scope);
  }

  async #take({ entries }: Pick<Page, 'entries'>, scope: number): Promise<void> {
    await this.#expectWithheld(entries);
    // The line may break anywhere in the page.
    const taken = this.below(5) === 0 ? entries.slice(0, this.below(entries.length + 1)) : entries;
    for (const entry of taken) {
      if (entry.op === 'access-lost' || entry.op === 'codebase-removed') this.counts.drops += 1;
      if (entry.op === 'access-granted') this.counts.grants += 1;
      this.client.apply(entry);
      // A snapshot at a position that has passed is of the scope of now: who joins while the page is made is not in its end.
      if (entry.op === 'end' && scope === this.scope) await this.#expectLaw(entry.position);
    }
    if (taken.at(-1)?.op === 'upsert') this.counts.midGroup += 1;
  }

  /** Not one entry of what may not be read now. */
  async #expectWithheld(entries: readonly FollowerEntry[]): Promise<void> {
    const { rows } = await world.pool.query<{ id: string }>(`select codebase_id as id from read_model.codebases where state in ('removed', 'deleted')`);
    const hidden = new Set([...world.denied, ...rows.map(({ id }) => id)]);
    const told = entries.filter((entry) => 'codebase' in entry && entry.op !== 'access-lost' && entry.op !== 'codebase-removed' && hidden.has(entry.codebase));
    expect(told).toEqual([]);
    const drops = entries.map(({ op }) => op === 'access-lost' || op === 'codebase-removed');
    for (const [index, entry] of entries.entries()) {
      // What is lost now is told before anything else.
      if (drops[index] === true && 'codebase' in entry && hidden.has(entry.codebase)) expect(drops.slice(0, index)).not.toContain(false);
    }
  }

  async #expectLaw(position: string): Promise<void> {
    const shown = await this.snapshotAt(position);
    expect(this.client.shown(position)).toBe(shown);
    this.counts.ends += 1;
    this.lastEnd = { position, shown, scope: this.scope, access: this.access };
  }

  async snapshotAt(position: string): Promise<string> {
    const lines = await this.#lines(position);
    expect(lines.at(-1)?.op).toBe('end');
    return lines.slice(0, -1).map((line) => JSON.stringify(line)).join('\n');
  }

  async #lines(position?: string): Promise<SnapshotLine[]> {
    const inside = position === undefined ? undefined : positionInside(world.deps.epoch, position);
    const at = inside?.kind === 'ok' ? inside.position : undefined;
    const lines: SnapshotLine[] = [];
    for await (const some of snapshotLines(world.deps, await findFollower(world.pool, ACTOR, 'f'), { at })) lines.push(...some);
    return lines;
  }

  /** Acknowledges: the way there may be lost, or the way back, or it arrives twice. */
  async ack(): Promise<void> {
    const { cursor } = this.client;
    if (cursor === undefined) return;
    this.saved = this.client.copy();
    const fate = this.below(6);
    if (fate === 0) return;
    for (let times = fate === 1 ? 2 : 1; times > 0; times -= 1) await this.send(cursor);
    this.old.push(cursor);
  }

  send(cursor: string) {
    return this.unsafely(() => acknowledge(world.deps.pool, this.id, { cursor: parseCursor(world.deps.epoch, cursor), now: new Date(0) }));
  }

  /** One that was on its way for long. It is refused, or says what is known. */
  async lateAck(): Promise<void> {
    if (this.old.length === 0) return;
    await this.send(this.oneOf(this.old)).catch((error: unknown) => { expect([409, 410]).toContain((error as { status?: number }).status); });
  }

  /** The client dies: what it had not written down is lost, its cursor too. */
  crash(): void {
    this.client = this.saved.copy();
    this.client.cursor = undefined;
  }

  async snapshot(): Promise<void> {
    const lines = await this.unsafely(() => this.#lines(this.below(2) === 0 ? undefined : this.lastEnd?.position));
    if (lines?.at(-1)?.op !== 'end') return;
    this.counts.snapshots += 1;
    const fresh = new ModelClient();
    fresh.load(lines);
    // Acknowledged before it is used: only then the feed goes on behind it.
    const cursor = fresh.cursor!;
    const acked = await this.send(cursor);
    if (acked === undefined && await this.send(cursor).catch(() => undefined) === undefined) {
      // Nobody knows whether it was taken over: the third time, or a new one.
      await acknowledge(world.pool, this.id, { cursor: parseCursor(world.deps.epoch, cursor), now: new Date(0) });
    }
    fresh.cursor = undefined;
    this.client = fresh;
    this.saved = fresh.copy();
    this.old.push(cursor);
  }

  async drain(): Promise<void> {
    for (;;) {
      const { entries } = await nextPage(world.deps, this.id, { after: this.client.cursor === undefined ? undefined : parseCursor(world.deps.epoch, this.client.cursor), limit: 50 });
      await this.#take({ entries }, this.scope);
      if (entries.at(-1)?.op === 'end' && this.client.cursor === entries.at(-1)?.cursor) break;
    }
    const { heldPosition } = await acknowledge(world.pool, this.id, { cursor: parseCursor(world.deps.epoch, this.client.cursor!), now: new Date(0) });
    expect(heldPosition).toBe((await world.pool.query<{ position: string }>('select position from read_model.progress')).rows[0]?.position);
    // What the server believes to be held is what is held.
    const { rows } = await world.pool.query<{ text: string }>(`select codebase_id || ref || coalesce(commit_id, '') || tree_id || position as text from follower_refs where ref <> '' order by codebase_id collate "C", ref collate "C"`);
    const refs = this.client.shown('').split('\n').map((line) => JSON.parse(line) as { op: string; codebase: string; ref: string; commit: string; tree: string; position: string }).filter(({ op }) => op === 'ref');
    expect(rows.map(({ text }) => text)).toEqual(refs.map(({ codebase, ref, commit, tree, position }) => `${codebase}${ref}${commit}${tree}${position.slice(9)}`));
  }
}

async function run(seed: number): Promise<History['counts']> {
  const history = new History(seed);
  await history.begin();
  for (let step = 0; step < STEPS; step += 1) {
    const what = history.below(30);
    if (what < 11) await history.change();
    else if (what < 20) await history.poll(history.oneOf([1, 1, 2, 3, 7, 100]));
    else if (what < 25) await history.ack();
    else if (what === 25) await history.lateAck();
    else if (what === 26) history.crash();
    else if (what === 27) await history.snapshot();
    // A snapshot at a position that has passed is the same to its last byte, as long as scope and access are.
    else if (history.lastEnd?.scope === history.scope && history.lastEnd.access === history.access) expect(await history.snapshotAt(history.lastEnd.position)).toBe(history.lastEnd.shown);
  }
  await history.drain();
  return history.counts;
}

test(`the law holds over ${SEEDS} random histories with kills, from seed ${FIRST_SEED} on`, async () => {
  const sums: Record<string, number> = {};
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    try {
      for (const [name, count] of Object.entries(await run(seed))) sums[name] = (sums[name] ?? 0) + count;
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  process.stderr.write(`followers, ${SEEDS} histories: ${JSON.stringify(sums)}\n`);
  // Otherwise nothing was shown.
  for (const [name, count] of Object.entries(sums)) expect([name, count > SEEDS / 4]).toEqual([name, true]);
}, 900_000);

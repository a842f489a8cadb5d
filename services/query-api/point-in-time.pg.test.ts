import type { CodebaseId, ObjectId, Position, RefName, SourceId } from '#schemas/brand.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { positionOutside } from '#schemas/positions.ts';
import { createMemoryBlobStore } from '#shared/blobs/memory-blob-store.ts';
import { createMemoryDeliveryArchive } from '#shared/deliveries/memory-delivery-archive.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { emptyTree } from '#shared/objects/git-objects.ts';
import { createMemoryObjectIndex } from '#shared/objects/memory-object-index.ts';
import { createObjectReader } from '#shared/objects/object-reader.ts';
import { inTransaction } from '#shared/postgres/in-transaction.ts';
import { migrate } from '#shared/postgres/migrate.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { createPostgresReadStore } from '#shared/read-store/postgres-read-store.ts';
import { createTokenAccess } from '#shared/runtime/access.ts';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createPositionSignal } from '#shared/runtime/position-signal.ts';
import { freshDatabase } from '#tests/harness/postgres.ts';
import { foldOrMark } from '../projector/fold-page.ts';
import { History, idOf } from '../projector/history.fixture.ts';
import { start } from './service.ts';

/** `SEEDS=200` asks of so many histories; `SEED=7` begins with that one. */
const SEEDS = Number(process.env['SEEDS'] ?? 5);
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const QUESTIONS_A_SEED = 300;
const STEPS = 150;

const SOURCE = '11111111-1111-4111-8111-111111111111' as SourceId;
const REFS = ['refs/heads/main', 'refs/heads/side', 'refs/heads/release/1', 'refs/tags/v1', 'refs/tags/side'];

type Random = (below: number) => number;
function randomOf(seed: number): Random {
  let state = seed * 0x9e3779b9 >>> 0;
  return (below) => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) % below;
  };
}

/** Looks that are older than they are stored, and stored in another order; clocks that stand and go back; codebases that go and come again. */
function someHistory(random: Random): { facts: Fact[]; codebases: CodebaseId[] } {
  const history = new History();
  const registered = [1, 2, 3].map((project) => history.codebaseRegistered(SOURCE, project as never));
  const codebases = registered.map(({ data }) => data.codebaseId);
  let second = 10;
  for (let step = 0; step < STEPS; step += 1) {
    second = Math.max(1, second + [0, 0, 1, 1, 2, 3, -4][random(7)]!);
    const time = History.at(second);
    const one = registered[random(3)]!;
    const { codebaseId } = one.data;
    const sync = history.sync(history.syncRequested(codebaseId, null) as unknown as Fact, REFS[random(REFS.length)]);
    const defaultRef = [null, 'refs/heads/main', 'refs/heads/main', 'refs/heads/side'][random(4)] as RefName | null;
    const seen = { observedAt: History.at(Math.max(0, second - random(12))), defaultRef };
    // Few commits, so that force pushes lead back to old ones, and refs share them.
    const content = `content ${random(6)}`;
    const record = () => {
      switch (random(12)) {
        case 0: case 1: return history.deleted(sync, seen);
        case 2: return history.unfollowed(sync);
        case 3: return history.skipped(sync, content, seen);
        case 4: return history.failed(sync);
        case 5: return decide(history, { of: codebaseId, random });
        default:
          history.fetched(sync, content, { ...seen, tree: EMPTY });
          return random(8) === 0 ? history.failed(sync) : history.stored(sync, random(15) === 0 ? null : content, { ...seen, tree: EMPTY });
      }
    };
    const before = history.facts.length;
    record();
    for (let at = before; at < history.facts.length; at += 1) history.facts[at] = { ...history.facts[at]!, time };
  }
  return { facts: history.facts, codebases };
}
const EMPTY = emptyTree('sha1');

function decide(history: History, { of, random }: { of: CodebaseId; random: Random }): unknown {
  const kind = (['codebase.removed', 'codebase.restored', 'codebase.restored', 'codebase.archived', 'codebase.deleted', 'again'] as const)[random(6)]!;
  if (kind === 'again') return history.codebaseRegistered(SOURCE, [1, 2, 3].find((project) => history.facts[project - 1]!.key === of)! as never);
  return history.decided(`codebase-${of}`, kind, { codebaseId: of });
}

interface Question { readonly codebase: CodebaseId; readonly ref?: string; readonly commit?: string; readonly position?: Position; readonly time?: string; readonly observedAt?: string }
type Told = { readonly ref: string; readonly commit: string | null; readonly position: Position } | number;

/** The answer by reading all facts from the first to the last, and nothing else. A number is the status that there is no answer. */
function oracle(facts: readonly Fact[], { codebase, ref, commit, position, time, observedAt }: Question): Told {
  const own = facts.filter(({ data }) => 'codebaseId' in data && data.codebaseId === codebase);
  const state = own.findLast(({ type }) => /^codebase\.(registered|removed|restored|archived|deleted)$/.test(type))?.type;
  if (state === 'codebase.deleted') return 410;
  if (state === 'codebase.removed') return 404;
  const life = own.slice(own.findLastIndex(({ type }) => type === 'codebase.registered'));
  const moves = life.flatMap((fact) => (fact.type === 'codebase.stored' || fact.type === 'ref.deleted' || fact.type === 'ref.unfollowed'
    ? [{ ref: fact.data.ref as string, commit: fact.type === 'codebase.stored' ? fact.data.commit : null, isThere: fact.type === 'codebase.stored', at: fact.position, storedAt: fact.time, seenAt: fact.type === 'ref.unfollowed' ? fact.time : fact.data.observedAt }] : []));
  const now = (name: string) => moves.findLast((move) => move.ref === name);
  const there = REFS.filter((name) => now(name)?.isThere === true).sort();
  const looks = life.flatMap((fact) => ('observedAt' in fact.data && 'defaultRef' in fact.data && fact.data.observedAt !== null && fact.type !== 'codebase.stored' && fact.type !== 'codebase.scanned' ? [{ seenAt: fact.data.observedAt, names: fact.data.defaultRef as string | null }] : []));
  const latest = looks.reduce<(typeof looks)[number] | undefined>((best, look) => (best === undefined || look.seenAt >= best.seenAt ? look : best), undefined);
  const names = ref === undefined ? [latest?.names ?? there[0]] : ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  const name = names.find((one) => one !== undefined && there.includes(one)) ?? names[0];
  if (name === undefined) return 404;
  const known = moves.filter((move) => (position === undefined || move.at <= position) && (time === undefined || move.storedAt <= time));
  const ofRef = known.filter((move) => move.ref === name);
  const found = commit !== undefined ? ofRef.findLast((move) => move.commit === commit) ?? known.findLast((move) => move.commit === commit)
    : observedAt === undefined ? ofRef.at(-1)
      : ofRef.filter((move) => move.seenAt <= observedAt).reduce<(typeof ofRef)[number] | undefined>((best, move) => (best === undefined || move.seenAt >= best.seenAt ? move : best), undefined);
  return found?.isThere === true ? { ref: found.ref, commit: found.commit, position: found.at } : 404;
}

function anyQuestion(random: Random, { facts, codebases }: { facts: readonly Fact[]; codebases: readonly CodebaseId[] }): Question {
  const fact = () => facts[random(facts.length)]!;
  // Now and then between two facts' times, or a place that is another codebase's.
  const time = () => (random(4) === 0 ? new Date(Date.parse(fact().time) - 1).toISOString() : fact().time);
  const seen = () => { const { data } = fact(); return 'observedAt' in data && data.observedAt !== null ? data.observedAt : time(); };
  const ref = [undefined, 'main', 'side', 'v1', ...REFS][random(9)];
  const moment = [() => ({}), () => ({ position: fact().position }), () => ({ position: fact().position }), () => ({ time: time() }), () => ({ observedAt: seen() }),
    () => ({ observedAt: seen(), position: fact().position }), () => ({ observedAt: seen(), time: time() }), () => ({ commit: idOf(`content ${random(7)}`) as ObjectId })][random(8)]!();
  return { codebase: codebases[random(codebases.length)]!, ...(ref === undefined ? {} : { ref }), ...moment };
}

/** Real tables and a real door; the versions are of the empty tree, which needs no pack. */
async function openDoor() {
  const database = await freshDatabase();
  await migrate({ url: database.url, owners: ['projector', 'scheduler', 'notifier'].map((name) => ({ name, directory: new URL(`../${name}/migrations/`, import.meta.url).pathname })) });
  const pool = createPool(database.url, { connectionsMax: 4, applicationName: 'point-in-time-test' });
  const [log, index] = [createMemoryEventLog(), createMemoryObjectIndex()];
  const door = createHttpDoor({ logger: createLogger('silent'), host: '127.0.0.1' });
  const service = await start({
    store: createPostgresReadStore({ pool }), log, index, reader: createObjectReader({ index, blobs: createMemoryBlobStore() }), checks: { kept: async () => new Map() }, people: { names: async () => new Map() }, audit: { list: async () => [] }, door, access: createTokenAccess('the-token'),
    projected: createPositionSignal(), deliveries: createMemoryDeliveryArchive([]), bus: { parked: async () => [] }, sleep: async () => undefined,
  });
  const [epoch, url] = [await log.epoch(), `http://127.0.0.1:${await door.listen(0)}`];
  return {
    async fold(facts: readonly Fact[]) {
      await pool.query('truncate read_model.fact_index, read_model.unfolded, read_model.codebases, read_model.refs, read_model.versions, read_model.syncs');
      await inTransaction(pool, (client) => foldOrMark(client, 'read_model', { facts, position: facts.at(-1)!.position }));
    },
    async ask({ codebase, ref, commit, position, time, observedAt }: Question): Promise<Told> {
      const at = commit ?? time ?? (position === undefined ? undefined : positionOutside(epoch, position));
      const query = new URLSearchParams(Object.entries({ ref, at, observedAt }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]])));
      const response = await fetch(`${url}/v1/codebases/${codebase}/stats?${query}`, { headers: { authorization: 'Bearer the-token' } });
      const { receipt } = await response.json() as { receipt?: { ref: string; commit: string | null; position: string } };
      return receipt === undefined ? response.status : { ref: receipt.ref, commit: receipt.commit, position: receipt.position.slice(receipt.position.indexOf('-') + 1) as Position };
    },
    async close() {
      await service.stop();
      await door.close();
      await pool.end();
      await database.drop();
    },
  };
}

test(`${SEEDS * QUESTIONS_A_SEED} random questions are answered by what was stored then and by what GitLab had then, as by reading every fact (I10)`, async () => {
  const door = await openDoor();
  const kinds = new Map<string, number>();
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const random = randomOf(seed);
      const history = someHistory(random);
      await door.fold(history.facts);
      for (let n = 0; n < QUESTIONS_A_SEED; n += 1) {
        const question = anyQuestion(random, history);
        const expected = oracle(history.facts, question);
        expect({ seed, question, told: await door.ask(question) }).toEqual({ seed, question, told: expected });
        const kind = `${Object.keys(question).filter((name) => name !== 'codebase' && name !== 'ref').join('+')} ${typeof expected === 'number' ? expected : 'version'}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
    }
  } finally {
    await door.close();
  }
  // Each kind of question was asked, and found something and nothing.
  for (const kind of ['', 'position', 'time', 'observedAt', 'observedAt+position', 'observedAt+time', 'commit']) {
    expect([kind, kinds.get(`${kind} version`) ?? 0]).toEqual([kind, expect.any(Number)]);
    expect(kinds.get(`${kind} version`) ?? 0).toBeGreaterThan(SEEDS);
    expect(kinds.get(`${kind} 404`) ?? 0).toBeGreaterThan(SEEDS);
  }
});

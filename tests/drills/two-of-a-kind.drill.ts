import assert from 'node:assert/strict';
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { startSystem, until, type System } from '../harness/system.ts';
import type { Chance, Drill, DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { askForAll, expectAllHeld, untilSameHeads } from './held.ts';

const DOORS = ['ingress', 'scheduler', 'projector', 'notifier', 'query-api'];
const WORKERS = ['fetcher', 'scanner', 'storage-writer'] as const;
type Group = (typeof WORKERS)[number];
/** Enough for each step to take some hundred milliseconds, in which it is met. */
const FILES = 1_500;
const PUSHES_A_ROUND = 4;
const run = promisify(execFile);

/** At which fact of a sync its holder is at work: the one before its own. */
const AT_WORK: Record<Group, string | undefined> = { fetcher: undefined, scanner: 'codebase.fetched', 'storage-writer': 'codebase.scanned' };

export const twoOfAKind: Drill = {
  name: 'two-of-a-kind',
  says: 'of two fetchers, scanners and storage-writers one works; killed or stopped in the middle of a sync it is taken over from, and one that goes on changes nothing (I2 to I5, I11)',
  minutesMax: 6,
  run: killAndStop,
};

interface Pair { readonly system: System; readonly database: pg.Client; readonly workers: Set<ChildProcess>; readonly fleet: readonly Followed[] }

async function killAndStop({ chance, isShort, note }: DrillRun): Promise<string> {
  const system = await startSystem({ services: DOORS });
  const database = new pg.Client({ connectionString: system.databaseUrl });
  const workers = new Set<ChildProcess>();
  try {
    await database.connect();
    for (let n = 0; n < 2; n += 1) workers.add(await system.startEngine(WORKERS));
    const pair: Pair = { system, database, workers, fleet: await followFleet(system, { count: 3 }) };
    const stops = isShort ? [chance.oneOf(WORKERS)] : [...WORKERS, ...WORKERS, ...WORKERS];
    const kills = isShort ? 1 : 4;
    for (let kill = 0; kill < kills; kill += 1) {
      await killHolder(pair, chance);
      note(`${kill + 1} of ${kills} kills`);
    }
    let met = 0;
    for (const [index, group] of stops.entries()) {
      if (await stopHolder(pair, { group, round: index, chance })) met += 1;
      note(`${index + 1} of ${stops.length} stops, ${met} in the middle of a step`);
    }
    await askForAll(system, pair.fleet);
    await expectAllHeld(system, pair.fleet);
    await expectSameHeads(pair);
    return `${kills} kills, ${stops.length} stops of ${stops.join(', ')}, ${met} in the middle of their step, ${(kills + stops.length) * PUSHES_A_ROUND + stops.length} pushes`;
  } finally {
    for (const worker of workers) worker.kill('SIGCONT');
    await database.end();
    await system.stop();
  }
}

async function killHolder(pair: Pair, chance: Chance): Promise<void> {
  const { system, workers, fleet } = pair;
  const pushing = pushAll(fleet, chance);
  await sleep(chance.random() * 600);
  const holder = await holderOf(pair, chance.oneOf(WORKERS));
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  workers.delete(holder);
  await until('the other took over', async () => (await holderOf(pair, 'fetcher').catch(() => undefined)) !== undefined);
  await pushing;
  for (const one of fleet) await untilSameHeads(system, one);
  workers.add(await system.startEngine(WORKERS));
}

/** Whether it was met in the middle of its step. */
async function stopHolder(pair: Pair, { group, round, chance }: { group: Group; round: number; chance: Chance }): Promise<boolean> {
  const { system, fleet } = pair;
  const one = chance.oneOf(fleet);
  const { repository, heads, codebase } = one;
  const before = await factsOf(pair, codebase);
  const holder = await holderOf(pair, group);
  const commit = repository.commit('main', Array.from({ length: FILES }, (_, file) => ({ path: `round-${round}/d${file % 20}/f${file}`, content: `${chance.random()}\n` })), { parent: heads.get('main')! });
  heads.set('main', commit);
  const pushed = run('git', ['push', '-q', 'origin', '+refs/heads/main'], { cwd: repository.dir });
  const factsSince = async () => (await factsOf(pair, codebase)).slice(before.length);
  const isAtWork = (facts: readonly string[]) => facts.includes(AT_WORK[group] ?? 'push.received');
  await until(`${group} is at work`, async () => isAtWork(await factsSince()));
  await sleep(chance.random() * (group === 'fetcher' ? 150 : 40));
  holder.kill('SIGSTOP');
  const stoppedAt = (await factsSince()).at(-1);
  await pushed;

  await pushAll(fleet, chance);
  await until(`the other took over ${group}`, async () => (await holderOf(pair, group)) !== holder);
  for (const followed of fleet) await untilSameHeads(system, followed);
  const reached = await checkpoints(pair);
  const left = timesLeft(system, group);
  holder.kill('SIGCONT');
  await until('the one that was stopped has seen it', () => timesLeft(system, group) > left);
  for (const [name, position] of await checkpoints(pair)) assert.ok(position >= (reached.get(name) ?? ''), `the checkpoint of ${name} went back from ${reached.get(name)} to ${position}`);
  for (const followed of fleet) await untilSameHeads(system, followed);
  return stoppedAt === (AT_WORK[group] ?? 'push.received');
}

function timesLeft(system: System, group: Group): number {
  return system.log().split('\n').filter((line) => line.includes(`"lease":"${group}"`) && line.includes('the work is left')).length;
}

/** As the log has them: the read tables trail, and the moment would be over. */
async function factsOf({ database }: Pair, codebase: string): Promise<string[]> {
  const { rows } = await database.query<{ type: string }>(`select fact::json ->> 'type' as type from log_facts where fact::json ->> 'key' = $1 order by position`, [codebase]);
  return rows.map(({ type }) => type);
}

async function pushAll(fleet: readonly Followed[], chance: Chance): Promise<void> {
  for (let n = 0; n < PUSHES_A_ROUND; n += 1) await pushSomething(fleet, chance);
}

/** @throws while nobody has the lease, or somebody who died */
async function holderOf({ database, workers }: Pair, group: Group): Promise<ChildProcess> {
  const { rows: [row] } = await database.query<{ holder: string }>(
    `select application_name as holder from bus_leases join pg_stat_activity on pid = backend_pid where name = $1 and expires_at > clock_timestamp()`, [group]);
  const holder = [...workers].find(({ pid }) => row?.holder === `tekai-leases of process ${pid}`);
  if (holder === undefined) throw new Error(`nobody works for ${group}, but ${row?.holder ?? 'nobody'}`);
  return holder;
}

async function checkpoints({ database }: Pair): Promise<Map<string, string>> {
  const { rows } = await database.query<{ group_name: string; position: string }>('select group_name, position from bus_checkpoints');
  return new Map(rows.map((row) => [row.group_name, row.position]));
}

/** What the fetchers believe that GitLab has, is what it has. */
async function expectSameHeads({ database, fleet }: Pair): Promise<void> {
  for (const { codebase, heads } of fleet) {
    const { rows } = await database.query<{ ref: string; commit_id: string }>('select ref, commit_id from fetcher_heads where codebase_id = $1 and not is_deleted', [codebase]);
    assert.deepEqual(new Map(rows.map((row) => [row.ref, row.commit_id]).sort() as [string, string][]), new Map([...heads].map(([branch, commit]) => [`refs/heads/${branch}`, commit] as [string, string]).sort()), `heads of ${codebase}`);
  }
}

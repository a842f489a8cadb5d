import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type pg from 'pg';
import { shareName } from '#shared/bus/kafka-group.ts';
import { partitionOf } from '#shared/bus/kafka-records.ts';
import type { Drill } from '../../drills/drill.ts';
import type { Followed } from '../../drills/fleet.ts';
import { withLog } from '../../harness/own-stores.ts';
import { PARTITIONS } from '../../harness/stack-form.ts';
import { until, untilStored } from '../../harness/system.ts';
import { holderOf, isRecorded, withDatabase } from './shares.ts';
import { drillStack, STATE_MS_MAX, untilGoesOn, whyNotHere, type StackWorld } from './stack-drill.ts';

const run = promisify(execFile);
const GROUPS = ['fetcher', 'scanner', 'storage-writer'] as const;
type Group = (typeof GROUPS)[number];
/** Between which facts of the push its holder is at work. */
const AT_WORK: Readonly<Record<Group, { readonly from: string; readonly to: string }>> = {
  fetcher: { from: 'push.received', to: 'codebase.fetched' }, scanner: { from: 'codebase.fetched', to: 'codebase.scanned' }, 'storage-writer': { from: 'codebase.scanned', to: 'codebase.stored' },
};
const TURNS = 3;
/** One may have done its step when it is stopped. */
const TRIES_MAX = 3;
/** Enough for each step to take some hundred milliseconds, in which it is met. */
const FILES = 1_500;
/** What is recorded is told by then; the other takes over after 30 s only. */
const LOOK_MS = 3_000;
/** As it says it itself, with the name of the share. */
const LEFT = 'the work is left to whoever has it now';

export const workersStopped: Drill = {
  name: 'workers-stopped',
  says: 'a fetcher, scanner or storage-writer is stopped in the middle of a step until another did its work, and goes on: it changes nothing (I2 to I5, I11)',
  minutesMax: 30,
  whyNotHere,
  run: (how) => drillStack(how, { breakIt: stop }),
};

async function stop(world: StackWorld): Promise<string> {
  return withDatabase(world.system, async (database) => {
    const groups = world.isShort ? [world.chance.oneOf(GROUPS)] : Array.from({ length: TURNS }, () => GROUPS).flat();
    let stops = 0;
    for (const group of groups) {
      for (let tries = 1, isMet = false; !isMet; tries += 1) {
        assert.ok(tries <= TRIES_MAX, `no ${group} was met in the middle of its step in ${TRIES_MAX} tries: the drill drilled nothing`);
        isMet = await stopHolder(world, { group, turn: stops += 1, database });
      }
    }
    return `${stops} stops, ${groups.length} in the middle of a step: ${groups.join(', ')}`;
  });
}

interface Stop { readonly group: Group; readonly turn: number; readonly database: pg.Client }

/** Whether it was met in the middle of its step. */
async function stopHolder({ system, stack, fleet, chance, note }: StackWorld, { group, turn, database }: Stop): Promise<boolean> {
  const one = chance.oneOf(fleet);
  const lease = shareName(group, partitionOf(one.codebase, Number(PARTITIONS)), Number(PARTITIONS));
  const holder = await until(`somebody works for ${lease}`, () => holderOf(lease, { database, services: stack.services }), STATE_MS_MAX);
  // A branch of its own: pushes to others may come meanwhile, and take nothing of it along.
  const branch = `stopped-${turn}`;
  const { from, to } = AT_WORK[group];
  const after = await withLog(system, (log) => log.head());
  const recorded = (type: string, msMax: number) => isRecorded(system, { after, type, key: one.codebase, ref: `refs/heads/${branch}`, msMax });
  const isAtWork = recorded(from, STATE_MS_MAX);
  const commit = await push(one, branch);
  assert.ok(await isAtWork, `no ${from} of ${branch} came`);
  holder.child?.kill('SIGSTOP');
  const isMet = !(await recorded(to, LOOK_MS));
  note(`${holder.label} is stopped, ${isMet ? 'in the middle of' : 'behind'} its step`);
  await until(`another did the work of ${holder.label}`, () => untilStored(system, one.codebase, `refs/heads/${branch}`, commit).catch(() => undefined), STATE_MS_MAX);
  assert.notEqual(await holderOf(lease, { database, services: stack.services }), holder, `${lease} is still that of the one that was stopped`);

  const left = timesLeft(system.log(), lease);
  holder.child?.kill('SIGCONT');
  await until('the one that was stopped has seen it', () => timesLeft(system.log(), lease) > left);
  note('it goes on, and has seen that another took over');
  await untilGoesOn(system);
  return isMet;
}

async function push({ repository, heads }: Followed, branch: string): Promise<string> {
  const commit = repository.commit(branch, Array.from({ length: FILES }, (_, file) => ({ path: `${branch}/d${file % 20}/f${file}`, content: `${branch} ${file}\n` })), { parent: heads.get('main')! });
  heads.set(branch, commit);
  await run('git', ['push', '-q', 'origin', `+refs/heads/${branch}`], { cwd: repository.dir });
  return commit;
}

const timesLeft = (log: string, lease: string) => log.split('\n').filter((line) => line.includes(`"lease":"${lease}"`) && line.includes(LEFT)).length;

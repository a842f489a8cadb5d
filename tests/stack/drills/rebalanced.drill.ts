import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { assignPartitions } from '#shared/bus/kafka-assigner.ts';
import { shareName } from '#shared/bus/kafka-group.ts';
import { partitionOf } from '#shared/bus/kafka-records.ts';
import type { ServiceProcess } from '../../../infra/stack/service-process.ts';
import type { Drill } from '../../drills/drill.ts';
import { followFleet, type Followed } from '../../drills/fleet.ts';
import { withLog } from '../../harness/own-stores.ts';
import { PARTITIONS } from '../../harness/stack-form.ts';
import { until, untilStored } from '../../harness/system.ts';
import { holderOf, isRecorded, withDatabase, type Looking } from './shares.ts';
import { drillStack, STATE_MS_MAX, untilGoesOn, whyNotHere, type StackWorld } from './stack-drill.ts';

const run = promisify(execFile);
const COUNT = Number(PARTITIONS);
const SIGNALS = ['SIGTERM', 'SIGKILL'] as const;
const TURNS = 3;
/** So slowly GitLab sends a push of so much: two minutes, in which a worker comes and goes. */
const FILES = 300;
const FILE_BYTES = 20_000;
const BYTES_PER_SECOND = 50_000;
/** What is recorded is told by then. */
const LOOK_MS = 1_000;

export const rebalanced: Drill = {
  name: 'rebalanced',
  says: 'a fetcher comes, is given the share of a long sync that another has in hand, and is told to stop, or killed, in the middle of it: it is stored once, by whoever has it last (I2 to I5, I11)',
  minutesMax: 30,
  whyNotHere,
  run: (how) => drillStack(how, { breakIt: comeAndGo }),
};

async function comeAndGo(world: StackWorld): Promise<string> {
  const { system, stack, chance, isShort } = world;
  const added = await stack.another('fetcher');
  const signals = isShort ? [chance.oneOf(SIGNALS)] : Array.from({ length: TURNS }, () => SIGNALS).flat();
  await withDatabase(system, async (database) => {
    for (const [turn, signal] of signals.entries()) await comeAndGoOnce(world, { added, signal, branch: `long-${turn + 1}`, looking: { database, services: stack.services } });
  });
  return `a fetcher came and went ${signals.length} times (${signals.join(', ')}), each in the middle of a sync`;
}

interface Turn { readonly added: ServiceProcess; readonly signal: NodeJS.Signals; readonly branch: string; readonly looking: Looking }

async function comeAndGoOnce({ system, fleet, note }: StackWorld, { added, signal, branch, looking }: Turn): Promise<void> {
  const moving = await partitionsToMove(looking);
  // Which partition a codebase lies on is known once it is registered.
  for (let more = 1; !fleet.some((one) => moving.has(partitionFor(one))); more += 1) fleet.push(...await followFleet(system, { count: 1, name: `${branch}-${more}` }));
  const one = fleet.find((followed) => moving.has(partitionFor(followed)))!;
  const lease = shareName('fetcher', partitionFor(one), COUNT);
  const before = await until(`somebody works for ${lease}`, () => holderOf(lease, looking), STATE_MS_MAX);

  const { id } = await system.gitlab.admin<{ id: number }>('POST', '/faults', { kind: 'http', path: '/git-upload-pack$', bytesPerSecond: BYTES_PER_SECOND });
  const after = await withLog(system, (log) => log.head());
  const recorded = (type: string, msMax: number) => isRecorded(system, { after, type, key: one.codebase, ref: `refs/heads/${branch}`, msMax });
  const isCaused = recorded('push.received', STATE_MS_MAX);
  const commit = await push(one, branch);
  assert.ok(await isCaused, `no push.received of ${branch} came`);

  const isMoved = async (what: string, isSo: (holder: ServiceProcess) => boolean) => until(what, async () => { const holder = await holderOf(lease, looking); return holder !== undefined && isSo(holder); }, STATE_MS_MAX);
  await added.start();
  await isMoved('the share is that of the one that came', (holder) => holder === added);
  note(`${added.label} has taken ${lease} from ${before.label}`);
  assert.ok(!(await recorded('codebase.fetched', LOOK_MS)), 'the sync was over before its share moved: the drill drilled nothing');
  await added.end(signal);
  note(`${added.label} is gone by ${signal}`);
  await isMoved('the share is another\'s', (holder) => holder !== added);
  assert.ok(!(await recorded('codebase.fetched', LOOK_MS)), 'the sync was over before its share moved again: the drill drilled less than it says');
  await system.gitlab.admin('DELETE', `/faults/${id}`);
  await until(`the long sync of ${one.codebase} has ended`, () => untilStored(system, one.codebase, `refs/heads/${branch}`, commit).catch(() => undefined), STATE_MS_MAX);
  await untilGoesOn(system);
}

const partitionFor = ({ codebase }: Followed) => partitionOf(codebase, COUNT);

/** Those that whoever comes is given, as its own rule has it. */
async function partitionsToMove({ database, services }: Looking): Promise<ReadonlySet<number>> {
  const fetchers = services.filter(({ name, isRunning }) => name === 'fetcher' && isRunning);
  return until('every share of the fetchers is somebody\'s', async () => {
    const holders: (ServiceProcess | undefined)[] = [];
    for (let partition = 0; partition < COUNT; partition += 1) holders.push(await holderOf(shareName('fetcher', partition, COUNT), { database, services }));
    if (holders.includes(undefined)) return undefined;
    const members = fetchers.map((one) => ({ id: one.label, owned: holders.flatMap((holder, partition) => (holder === one ? [partition] : [])) }));
    return new Set(assignPartitions(COUNT, [...members, { id: 'who comes', owned: [] }]).get('who comes'));
  }, STATE_MS_MAX);
}

/** What no compressor makes much smaller. */
async function push({ repository, heads }: Followed, branch: string): Promise<string> {
  const commit = repository.commit(branch, Array.from({ length: FILES }, (_, file) => ({ path: `${branch}/d${file % 20}/f${file}`, content: randomBytes(FILE_BYTES) })), { parent: heads.get('main')! });
  heads.set(branch, commit);
  await run('git', ['push', '-q', 'origin', `+refs/heads/${branch}`], { cwd: repository.dir });
  return commit;
}

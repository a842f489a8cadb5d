import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startKafka } from '../../infra/servers/kafka.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import { until } from '../harness/system.ts';
import { describeWith } from './stack-test.ts';
import { openWorkerWorld, type WorkerProcess, type WorkerWorld } from './worker-world.ts';

const KEYS = 'abcdefghij'.split('');
const FOR_EVER_MS = 600_000;
/** After a broker's death a consumer may have to begin anew several times, each after the session of the one before (30 s). */
const STATE_MS_MAX = 300_000;

describeWith('TEKAI_TEST_KAFKA', 'workers on Kafka', (broker) => {
  let world: WorkerWorld;
  let server: RunningServer | undefined;
  const folders: string[] = [];
  afterEach(async () => {
    await world.close();
    await server?.kill();
    server = undefined;
    await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  });

  const rounds = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => KEYS.map((key) => `${key}${from + index}`)).flat();
  const becomes = (what: string, look: () => Promise<boolean> | boolean) => until(what, look, STATE_MS_MAX).catch(async (error: unknown) => {
    throw new Error(`${String(error)}: ${await world.standing()}`, { cause: error });
  });
  const allDone = () => becomes('all is worked on', () => world.isAtHead());
  const inOrder = (labels: readonly string[], key: string) => labels.filter((label) => label.startsWith(key));
  /** Each of these once, whoever did it, and each key in the order of the log where one did it. */
  async function expectEachOnce(workers: readonly WorkerProcess[], labels: readonly string[]): Promise<void> {
    expect(workers.flatMap(({ did }) => did).toSorted()).toEqual(labels.toSorted());
    for (const { did } of workers) for (const key of KEYS) expect(inOrder(did, key)).toEqual(inOrder(labels, key).filter((label) => did.includes(label)));
    expect(await world.bus.parked()).toEqual([]);
  }

  test('killed in the middle of long work: another begins it again, and does what comes behind it', async () => {
    world = await openWorkerWorld(broker);
    const first = await world.start({ slowMs: FOR_EVER_MS });
    await world.add('slow1', 'slow2', ...rounds(1, 1));
    await becomes('it has done the rest', () => first.began.includes('slow1') && first.did.length === KEYS.length);
    const second = await world.start();
    await first.program.kill();
    await world.add(...rounds(2, 2));
    await allDone();
    expect(second.did.filter((label) => label.startsWith('slow'))).toEqual(['slow1', 'slow2']);
    for (const key of KEYS) expect(inOrder(second.did, key).at(-1)).toBe(`${key}2`);
    expect(await world.bus.parked()).toEqual([]);
  }, STATE_MS_MAX);

  test('stopped longer than its session with a fact in hand, and continued when its partition is another\'s: it changes nothing, and is a member again', async () => {
    world = await openWorkerWorld(broker);
    const zombie = await world.start({ stopsAt: 'slow1' });
    await world.add('slow1', 'slow2');
    await becomes('it has stopped with it', () => zombie.began.includes('slow1'));
    const other = await world.start();
    await becomes('the other has done all', async () => other.did.includes('slow2') && (await world.isAtHead()));
    zombie.program.child.kill('SIGCONT');
    await world.add('slow3', ...rounds(1, 2));
    await becomes('both are members', async () => (await world.members()) === 2);
    await world.add(...rounds(3, 4));
    await allDone();
    await expectEachOnce([zombie, other], ['slow1', 'slow2', 'slow3', ...rounds(1, 4)]);
  }, STATE_MS_MAX);

  test('told to stop it ends what it has in hand, and leaves: Kafka waits for no session, and nothing is done twice', async () => {
    world = await openWorkerWorld(broker);
    const workers = [await world.start({ slowMs: 2_000, isPatient: true }), await world.start({ slowMs: 2_000, isPatient: true })];
    await becomes('both have come', async () => (await world.members()) === 2);
    await world.add('slow1', ...rounds(1, 1));
    await becomes('one is at it', () => workers.some(({ began }) => began.includes('slow1')));
    const leaves = workers.find(({ began }) => began.includes('slow1'))!;
    expect(await leaves.program.stop()).toBe(0);
    expect(leaves.did).toContain('slow1');
    expect(await world.members()).toBe(1);
    await world.add('slow2', ...rounds(2, 2));
    await allDone();
    await expectEachOnce(workers, ['slow1', 'slow2', ...rounds(1, 2)]);
  }, STATE_MS_MAX);

  test('the broker is killed and comes again under work, three times: nothing is lost, done twice or parked', async () => {
    const [port, controller] = [await freePort(), await freePort()];
    const directory = await mkdtemp(path.join(tmpdir(), 'tekai-broker-'));
    folders.push(directory);
    const startBroker = async () => { server = await startKafka({ directory, port, node: { id: 1, controllers: [{ id: 1, port: controller }] } }); };
    await startBroker();
    world = await openWorkerWorld(`127.0.0.1:${port}`);
    // No worker dies: a broker that starts takes both cores for longer than a quick session lasts, and who loses it does things twice.
    const workers = [await world.start({ slowMs: 100, isPatient: true }), await world.start({ slowMs: 100, isPatient: true })];
    const labels: string[] = [];
    for (let kill = 0; kill < 3; kill += 1) {
      const more = [...rounds(kill * 10 + 1, kill * 10 + 10), ...[1, 2, 3].map((n) => `slow${kill * 3 + n}`)];
      labels.push(...more);
      const adding = world.add(...more);
      await becomes('work is under way', () => workers.some(({ did }) => did.some((label) => more.includes(label))));
      await server!.kill();
      await adding;
      await startBroker();
    }
    await allDone();
    await expectEachOnce(workers, labels);
  }, 3 * STATE_MS_MAX);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startKafkaCluster, type KafkaCluster } from '../../infra/servers/kafka-cluster.ts';
import { until } from '../harness/system.ts';
import { describeWith } from './stack-test.ts';
import { openWorkerWorld, type WorkerWorld } from './worker-world.ts';

const KEYS = 'abcdefghij'.split('');
/** A short form; `BROKER_KILLS=3` kills each of them once. */
const KILLS = Number(process.env['BROKER_KILLS'] ?? 1);
const STATE_MS_MAX = 180_000;

describeWith('TEKAI_TEST_KAFKA', 'three brokers', () => {
  let folder: string;
  let cluster: KafkaCluster;
  let world: WorkerWorld;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tekai-brokers-'));
    cluster = await startKafkaCluster({ directory: folder });
    world = await openWorkerWorld(cluster.url, { replication: 3 });
  }, STATE_MS_MAX);
  afterAll(async () => {
    await world.close();
    await cluster.kill();
    await rm(folder, { recursive: true, force: true });
  }, STATE_MS_MAX);

  const becomes = (what: string, look: () => Promise<boolean> | boolean) => until(what, look, STATE_MS_MAX).catch(async (error: unknown) => {
    throw new Error(`${String(error)}: ${await world.standing()}`, { cause: error });
  });

  test(`${KILLS} of them killed under work, one after the other, and comes again: nothing is lost, done twice, out of order or parked`, async () => {
    // No worker dies: a broker that starts takes both cores for longer than a quick session lasts, and who loses it does things twice.
    const workers = [await world.start({ slowMs: 100, isPatient: true }), await world.start({ slowMs: 100, isPatient: true })];
    const did = () => workers.flatMap((worker) => worker.did);
    const labels: string[] = [];
    for (const [index, broker] of cluster.brokers.slice(0, KILLS).entries()) {
      const more = Array.from({ length: 12 }, (_, n) => [...KEYS.map((key) => `${key}${index * 12 + n}`), `slow${index * 12 + n}`]).flat();
      labels.push(...more);
      const adding = world.add(...more);
      await becomes('work is under way', () => did().some((label) => more.includes(label)));
      await broker.kill();
      await adding;
      await becomes('all is done with two', () => world.isAtHead());
      await cluster.restart(index);
    }
    expect(did().toSorted()).toEqual(labels.toSorted());
    for (const worker of workers) for (const key of [...KEYS, 'slow']) {
      const numbers = worker.did.filter((label) => label.replace(/\d+$/, '') === key).map((label) => Number(label.slice(key.length)));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
    expect(await world.bus.parked()).toEqual([]);
  }, 5 * STATE_MS_MAX);
});

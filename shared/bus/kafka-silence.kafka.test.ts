import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { createLogger } from '#shared/runtime/logger.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { until } from '../../tests/harness/system.ts';
import { append, done, startWorker, type Worker } from './bus-bench.contract.ts';
import { fillTopics, QUICK, type FilledTopics } from './kafka-bench.fixture.ts';
import { createKafkaBus } from './kafka-bus.ts';
import type { KafkaClient } from './kafka-client.ts';
import { groupIdOf } from './kafka-group.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';
import { createMemoryGroups, type MemoryGroups } from './memory-group-store.ts';

const STATE_MS_MAX = 90_000;
/** Kafka's number of the request. */
const SYNC_GROUP = 14;
const KEYS = 'abcdefghijklmnop'.split('');

describeWith('TEKAI_TEST_KAFKA', 'a consumer that falls silent', (broker) => {
  let filled: FilledTopics;
  let groups: MemoryGroups;
  const workers: Worker[] = [];
  const opened = new Set<Socket>();
  beforeEach(async () => {
    filled = await fillTopics(broker);
    groups = createMemoryGroups();
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    // What waits at a silent one waits for ever, also when it only closes: kafkajs hears errors.
    for (const socket of opened) socket.destroy(new Error('the test is over'));
    await filled.close();
  });

  /** A client whose connections can be made to say nothing more, for good: they stay open, and it waits for as long. Those it makes later are well. */
  function fallsSilent() {
    const sockets = new Set<Socket>();
    let isHolding = false;
    let held: Socket | undefined;
    const kafka = new Kafka({
      clientId: 'test', brokers: [broker], logLevel: logLevel.NOTHING, requestTimeout: 10 * STATE_MS_MAX,
      socketFactory: ({ host, port, onConnect }) => {
        const socket = connect({ host, port }, onConnect);
        const write = socket.write.bind(socket) as (...all: unknown[]) => boolean;
        socket.write = ((...all: [Buffer]) => {
          if (isHolding && all[0].readInt16BE(4) === SYNC_GROUP) held = socket.pause();
          return write(...all);
        }) as Socket['write'];
        for (const all of [sockets, opened]) {
          all.add(socket);
          socket.once('close', () => all.delete(socket));
        }
        return socket;
      },
    });
    const client: KafkaClient = { kafka, topics: filled.client.topics };
    const said: string[] = [];
    const logger = Object.assign(createLogger('silent'), { warn: (about: { reason?: string }) => void said.push(about.reason ?? '') });
    const bus = createKafkaBus({ log: filled.log, store: groups.open(new AbortController().signal), progress: createLocalProgressChannel(), client, timing: QUICK, logger, now: () => new Date(), sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined) });
    return {
      bus, said,
      fallSilent() { for (const socket of sockets) socket.removeAllListeners('data').resume(); },
      /** What it hears when it asks for its share of the group comes once it goes on. */
      holdSharingOut() { isHolding = true; },
      isHeld: () => held !== undefined,
      goOn() { isHolding = false; held?.resume(); },
    };
  }
  const work = (bus: ReturnType<typeof fallsSilent>['bus']) => {
    const worker = startWorker(bus, () => done);
    workers.push(worker);
    return worker;
  };
  const add = async (round: number) => { for (const key of KEYS) await append(filled.log, `${key}${round}`); };
  const becomes = (what: string, look: () => boolean | Promise<boolean>) => until(what, look, STATE_MS_MAX);
  async function members(): Promise<number> {
    const { client } = filled;
    const admin = client.kafka.admin();
    await admin.connect();
    const { groups: [found] } = await admin.describeGroups([groupIdOf(client, 'workers')]).finally(() => admin.disconnect());
    return found?.members.length ?? 0;
  }

  test('is noticed, though it crashes not and says nothing: another is begun in its place, and each fact is done once', async () => {
    const one = fallsSilent();
    const worker = work(one.bus);
    await add(1);
    await becomes('the first round is done', () => worker.completed.length === KEYS.length);
    one.fallSilent();
    await add(2);
    await becomes('the second is done, too', () => worker.completed.length === 2 * KEYS.length);
    expect(one.said).toContainEqual(expect.stringMatching(/^fetched nothing for \d+ s$/));
    for (const key of KEYS) expect(worker.handled.filter((label) => label.startsWith(key))).toEqual([`${key}1`, `${key}2`]);
  }, 2 * STATE_MS_MAX);

  test('one that is told to stop when its join is all but done is no member afterwards', async () => {
    const one = fallsSilent();
    one.holdSharingOut();
    const worker = startWorker(one.bus, () => done);
    await becomes('it waits for its share', () => one.isHeld());
    const stopped = worker.stop();
    // It is told to disconnect in this moment, or has been.
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    one.goOn();
    await stopped;
    await becomes('nobody is left', async () => (await members()) === 0);
    const end = performance.now() + 2 * (QUICK.sessionMs + QUICK.rebalanceMs);
    await becomes('whoever was still about to come would be there', () => performance.now() > end);
    expect(await members()).toBe(0);
  }, 2 * STATE_MS_MAX);
});

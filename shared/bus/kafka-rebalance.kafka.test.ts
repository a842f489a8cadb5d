import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '#shared/runtime/logger.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { append, createGate, done, startWorker, until, type Worker } from './bus-bench.contract.ts';
import { fillTopics, QUICK, type FilledTopics } from './kafka-bench.fixture.ts';
import { createKafkaBus } from './kafka-bus.ts';
import { openKafkaClient } from './kafka-client.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';
import { createMemoryGroups, type MemoryGroups } from './memory-group-store.ts';

const sleep = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => undefined);

describeWith('TEKAI_TEST_KAFKA', 'what Kafka does to a group', (broker) => {
  let filled: FilledTopics;
  let groups: MemoryGroups;
  const workers: Worker[] = [];
  beforeEach(async () => {
    filled = await fillTopics(broker);
    groups = createMemoryGroups();
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    await filled.close();
  });

  const open = () => {
    const logger = createLogger('silent');
    return createKafkaBus({ log: filled.log, store: groups.open(new AbortController().signal), progress: createLocalProgressChannel(), client: openKafkaClient({ url: filled.url, clientId: 'test', logger }), timing: QUICK, logger, now: () => new Date(), sleep });
  };
  const work = (script: Parameters<typeof startWorker>[1], options?: Parameters<typeof startWorker>[2]) => {
    const worker = startWorker(open(), script, options);
    workers.push(worker);
    return worker;
  };
  const keys = 'abcdefghijklmnop'.split('');
  const add = async (round: number) => { for (const key of keys) await append(filled.log, `${key}${round}`); };
  const isAtHead = async () => (await open().workedUpTo('workers')) === (await filled.log.head());

  async function emptyTopic(): Promise<void> {
    const admin = filled.client.kafka.admin();
    await admin.connect();
    const ends = await admin.fetchTopicOffsets(filled.client.topics.facts);
    await admin.deleteTopicRecords({ topic: filled.client.topics.facts, partitions: ends.map(({ partition, high }) => ({ partition, offset: high })) });
    await admin.disconnect();
  }

  async function relayedAll(): Promise<void> {
    const admin = filled.client.kafka.admin();
    await admin.connect();
    let count = 0;
    await until('the relay has written all', async () => {
      count = (await admin.fetchTopicOffsets(filled.client.topics.facts)).reduce((sum, { high }) => sum + Number(high), 0);
      return count >= Number(await filled.log.head());
    });
    await admin.disconnect();
  }

  test('what Kafka has forgotten while a group was away is read from the log: nothing is lost, and each key\'s order is kept', async () => {
    await add(1);
    const first = work(() => done);
    await until('the first round is done', async () => first.completed.length === keys.length && (await isAtHead()));
    await first.stop();
    await add(2);
    await add(3);
    await relayedAll();
    await emptyTopic();
    const second = work(() => done);
    await until('what was forgotten is done, though nothing new comes', async () => second.completed.length === 2 * keys.length && (await isAtHead()));
    await add(4);
    await until('what is new is done', async () => second.completed.length === 3 * keys.length && (await isAtHead()));
    for (const key of keys) expect(second.handled.filter((label) => label.startsWith(key))).toEqual([`${key}2`, `${key}3`, `${key}4`]);
  });

  test('a group that begins when Kafka has forgotten the beginning is given all of the log, once', async () => {
    await add(1);
    await relayedAll();
    await emptyTopic();
    await add(2);
    const worker = work(() => done);
    await until('all is done', async () => worker.completed.length === 2 * keys.length && (await isAtHead()));
    for (const key of keys) expect(worker.handled.filter((label) => label.startsWith(key))).toEqual([`${key}1`, `${key}2`]);
  });

  test('work that lasts longer than the session is not taken away, nor done a second time by a process that joins meanwhile', async () => {
    const gate = createGate();
    await add(1);
    const first = work(async (label) => { if (label === 'a1') await gate.opened; return done; }, { concurrency: 8 });
    await until('the rest is done', () => first.completed.length === keys.length - 1);
    const joined = work(() => done, { concurrency: 8 });
    for (let round = 2; joined.completed.length === 0; round += 1) {
      await add(round);
      await until('the round is done by somebody', () => first.completed.length + joined.completed.length >= round * keys.length - round);
    }
    const end = performance.now() + 2 * QUICK.sessionMs;
    await until('two sessions have passed', () => performance.now() > end);
    gate.open();
    await until('it is done', () => first.completed.includes('a1'));
    await until('all is done', isAtHead);
    // Not by the other a second time, also when its partition is one of those that move.
    expect([...first.handled, ...joined.handled].filter((label) => label === 'a1')).toHaveLength(1);
  });
});

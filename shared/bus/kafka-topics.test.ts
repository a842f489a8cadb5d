import { partitionsMissing } from './kafka-fact-topic.ts';
import { decodeCheckpoint, encodeCheckpoint } from './kafka-relay-checkpoint.ts';
import { topicsOf } from './kafka-records.ts';
import { decideTopic, planTopics, untilHeard, type StandingTopic, type TopicWishes } from './kafka-topics.ts';

const plan = (wishes: TopicWishes = {}, brokers = 3) => planTopics(topicsOf('t'), wishes, brokers);
/** As it was made by a plan. */
const madeBy = ({ made: { partitions, replication, settings } }: ReturnType<typeof plan>[number], changes: Partial<StandingTopic> = {}): StandingTopic => ({ partitions, replication, settings, own: Object.keys(settings), ...changes });

test('by default facts have 24 partitions, the relay one; three copies, or as many as there are brokers', () => {
  expect(plan().map(({ topic, made: { partitions, replication } }) => [topic, partitions, replication])).toEqual([['t.facts', 24, 3], ['t.relay', 1, 3]]);
  expect(plan({}, 1).map(({ made: { replication, settings } }) => [replication, settings['min.insync.replicas']])).toEqual([[1, '1'], [1, '1']]);
  expect(plan({}, 9)[0]?.made).toMatchObject({ replication: 3, settings: { 'min.insync.replicas': '2', 'retention.ms': '604800000', 'max.message.bytes': '2097152', 'cleanup.policy': 'delete' } });
  expect(plan({ partitions: 60, replication: 5, retentionDays: 30 })[0]?.made).toMatchObject({ partitions: 60, replication: 5, settings: { 'min.insync.replicas': '4', 'retention.ms': '2592000000' } });
});

test('what is not there is made, what was made is kept', () => {
  for (const one of plan()) {
    expect(decideTopic(one, undefined)).toMatchObject({ kind: 'make', topic: one.topic });
    expect(decideTopic(one, madeBy(one))).toEqual({ kind: 'keep', topic: one.topic });
  }
});

test('a count of partitions that was asked for and differs is refused, and what to do said', () => {
  const [facts, relay] = plan({ partitions: 48 });
  expect(decideTopic(facts!, madeBy(facts!, { partitions: 24 }))).toMatchObject({ kind: 'refuse', why: expect.stringMatching(/has 24 partitions.*never changed in place.*topics=/) as string });
  expect(decideTopic(plan()[0]!, madeBy(facts!, { partitions: 48 }))).toMatchObject({ kind: 'keep' });
  expect(decideTopic(relay!, madeBy(relay!, { partitions: 2 }))).toMatchObject({ kind: 'refuse' });
});

test('so are copies', () => {
  const [facts] = plan({ replication: 2 });
  expect(decideTopic(facts!, madeBy(facts!, { replication: 3 }))).toMatchObject({ kind: 'refuse', why: expect.stringContaining('kafka-reassign-partitions') as string });
  expect(decideTopic(plan()[0]!, madeBy(facts!))).toMatchObject({ kind: 'keep' });
});

test('settings that facts would be lost by are mended; what somebody chose beside is left, also what is more than enough', () => {
  const [facts, relay] = plan();
  const settings = { ...facts!.made.settings, 'cleanup.policy': 'compact', 'max.message.bytes': '1048588', 'retention.ms': '1000' };
  expect(decideTopic(facts!, madeBy(facts!, { settings }))).toEqual({ kind: 'change', topic: 't.facts', changes: [
    { name: 'cleanup.policy', from: 'compact', to: 'delete' }, { name: 'max.message.bytes', from: '1048588', to: '2097152' },
  ] });
  expect(decideTopic(facts!, madeBy(facts!, { settings: { ...facts!.made.settings, 'max.message.bytes': '9000000' } }))).toMatchObject({ kind: 'keep' });
  expect(decideTopic(plan({ retentionDays: 1 })[0]!, madeBy(facts!, {}))).toMatchObject({ kind: 'change', changes: [{ name: 'retention.ms', to: '86400000' }] });
  expect(decideTopic(relay!, madeBy(relay!, { settings: { 'cleanup.policy': 'delete' } }))).toMatchObject({ kind: 'change', changes: [{ to: 'compact' }] });
});

test('a broker that has not heard of a topic yet is asked again, for so long; whatever else it refuses is refused', async () => {
  const unheard = Object.assign(new Error('This server does not host this topic-partition'), { type: 'UNKNOWN_TOPIC_OR_PARTITION' });
  let asked = 0;
  await expect(untilHeard(async () => { asked += 1; if (asked < 3) throw unheard; return 'there'; })).resolves.toBe('there');
  await expect(untilHeard(() => Promise.reject(unheard), { msMax: 0 })).rejects.toBe(unheard);
  asked = 0;
  await expect(untilHeard(async () => { asked += 1; throw new Error('not authorised'); })).rejects.toThrow('not authorised');
  expect(asked).toBe(1);
});

test('a partition that nothing was said of, or an error, was not written', () => {
  const answer = (partition: number, errorCode = 0) => ({ topicName: 't', partition, errorCode, baseOffset: '0' });
  expect(partitionsMissing([1, 1, 2, 3], [answer(1), answer(2), answer(3)])).toEqual([]);
  expect(partitionsMissing([1, 1, 2, 3, 3], [answer(2), answer(3, 7)])).toEqual([1, 3]);
});

test('a checkpoint comes out as it went in; what somebody else wrote is none', () => {
  const checkpoint = { epoch: 'e', position: '7' as never, ends: [{ offset: 5, highest: '6' as never }, { offset: 0, highest: '' as never }] };
  expect(decodeCheckpoint(Buffer.from(encodeCheckpoint(checkpoint)), 't.relay')).toEqual(checkpoint);
  for (const text of ['', '{', 'null', '7', '{"epoch":"e"}', '{"epoch":"e","position":"7","ends":[[-1,"6"]]}']) expect(() => decodeCheckpoint(Buffer.from(text), 't.relay')).toThrow(/t\.relay is no checkpoint/);
  expect(() => decodeCheckpoint(null, 't.relay')).toThrow(/no checkpoint/);
});

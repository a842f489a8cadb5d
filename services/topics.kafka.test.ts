import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { parseSettings } from '#shared/runtime/settings.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { runTopics } from './run-topics.ts';

describeWith('TEKAI_TEST_KAFKA', 'tekai topics apply', (broker) => {
  const logger = createLogger('silent');
  const prefix = () => `test-${randomUUID()}`;
  const urlOf = (topics: string) => `kafka://${broker}?topics=${topics}`;

  async function apply(topics: string, request: Partial<Parameters<typeof runTopics>[0]['request']> = {}) {
    let said = '';
    const print = (text: string) => { said += text; };
    const code = await runTopics({ settings: parseSettings({ TEKAI_KAFKA_URL: urlOf(topics) }), request: { partitions: undefined, replication: undefined, retentionDays: undefined, json: false, ...request }, logger, print, note: print });
    return { code, said };
  }

  const withAdmin = async <T>(topics: string, look: (admin: ReturnType<ReturnType<typeof openKafkaClient>['kafka']['admin']>) => Promise<T>): Promise<T> => {
    const admin = openKafkaClient({ url: urlOf(topics), clientId: 'test', logger }).kafka.admin();
    await admin.connect();
    return look(admin).finally(() => admin.disconnect());
  };
  const settingsOf = (topics: string, topic: string) => withAdmin(topics, async (admin) => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }] });
    return Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]));
  });

  test('makes both topics, and finds nothing to do a second time', async () => {
    const topics = prefix();
    expect(await apply(topics)).toEqual({ code: 0, said: `${topics}.facts: made, with 24 partitions and 1 copy\n${topics}.relay: made, with 1 partition and 1 copy\n` });
    expect(await settingsOf(topics, `${topics}.facts`)).toMatchObject({ 'max.message.bytes': '2097152', 'cleanup.policy': 'delete', 'retention.ms': '604800000', 'min.insync.replicas': '1' });
    expect(await settingsOf(topics, `${topics}.relay`)).toMatchObject({ 'cleanup.policy': 'compact' });
    expect(await apply(topics)).toEqual({ code: 0, said: `${topics}.facts: is as it must be\n${topics}.relay: is as it must be\n` });
  });

  test('changes what must be changed, and keeps what somebody has set beside it', async () => {
    const topics = prefix();
    await withAdmin(topics, (admin) => admin.createTopics({ topics: [{ topic: `${topics}.facts`, numPartitions: 3, configEntries: [{ name: 'max.message.bytes', value: '1000000' }, { name: 'segment.ms', value: '7200000' }] }] }));
    expect(await apply(topics, { retentionDays: 2 })).toMatchObject({ code: 0, said: expect.stringContaining(`${topics}.facts: changed retention.ms from 604800000 to 172800000, max.message.bytes from 1000000 to 2097152\n`) as string });
    expect(await settingsOf(topics, `${topics}.facts`)).toMatchObject({ 'max.message.bytes': '2097152', 'retention.ms': '172800000', 'segment.ms': '7200000' });
    expect((await apply(topics)).said).toContain(`${topics}.facts: is as it must be\n`);
  });

  test('never changes the count of partitions, and says what to do instead', async () => {
    const topics = prefix();
    await apply(topics, { partitions: 4 });
    const { code, said } = await apply(topics, { partitions: 8, json: true });
    expect(code).toBe(1);
    expect(JSON.parse(said)).toMatchObject({ topics: [{ kind: 'refuse', topic: `${topics}.facts` }, { kind: 'keep' }] });
    expect(await withAdmin(topics, async (admin) => (await admin.fetchTopicMetadata({ topics: [`${topics}.facts`] })).topics[0]?.partitions.length)).toBe(4);
  });

  test('without an address, and without a broker, it says so', async () => {
    const said: string[] = [];
    const nothing = { partitions: undefined, replication: undefined, retentionDays: undefined, json: false };
    const given = { request: nothing, logger, print: (text: string) => void said.push(text), note: (text: string) => void said.push(text) };
    expect(await runTopics({ ...given, settings: parseSettings({}) })).toBe(78);
    expect(said.join('')).toContain('set TEKAI_KAFKA_URL');
    await expect(runTopics({ ...given, settings: parseSettings({ TEKAI_KAFKA_URL: 'kafka://127.0.0.1:1' }) })).rejects.toMatchObject({ name: 'Unavailable', dependency: 'kafka' });
  });
});

import { randomUUID } from 'node:crypto';
import { openKafkaClient } from '#shared/bus/kafka-client.ts';
import { readAll } from '#shared/bus/kafka-topic-reads.fixture.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import { tekai } from '../harness/tekai.ts';
import { describeWith } from './stack-test.ts';

interface Readiness { readonly ready: boolean; readonly remarks: Readonly<Record<string, string>> }

describeWith('TEKAI_TEST_KAFKA', 'an engine with Kafka', (broker) => {
  const kafkaUrl = `kafka://${broker}?topics=test-${randomUUID()}`;
  let system: System;
  beforeAll(async () => {
    system = await startSystem({ settings: { TEKAI_KAFKA_URL: kafkaUrl } });
  });
  afterAll(() => system.stop());

  const stores = () => ({ ...system.stores, TEKAI_KAFKA_URL: kafkaUrl });
  const readiness = async () => (await (await fetch(`${system.internalUrl}/readyz`)).json()) as Readiness;
  const figure = async (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(`${system.internalUrl}/metrics`)).text())?.[1]);

  test('without topics it is up, takes what comes, says what to do, and counts as behind; with them it fills Kafka', async () => {
    await until('the relay says why it waits', async () => (await readiness()).remarks['relay']?.includes('tekai topics apply'));
    expect(await readiness()).toMatchObject({ ready: true });
    await until('it counts as behind', async () => (await figure('tekai_relay_lag_seconds')) > 0);

    expect(await tekai({ stores: stores() }, 'topics', 'apply', '--partitions', '6')).toMatchObject({ code: 0, stdout: expect.stringContaining('.facts: made, with 6 partitions') as string });
    await until('it follows the log', async () => (await readiness()).remarks['relay']?.endsWith(' s behind the log') && !(await readiness()).remarks['relay']?.startsWith('waits'));
    expect(await figure('tekai_relay_leads')).toBe(1);

    const repository = await makeRepository();
    repository.commit('main', [{ path: 'a', content: 'a\n' }]);
    const { id } = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'relayed', import: repository.dir });
    const codebase = await system.follow(id);
    await until('nothing is missing in Kafka', async () => (await figure('tekai_relay_lag_seconds')) === 0 && (await typesOf(codebase)).includes('codebase.registered'));
  });

  test('a second relay stands by', async () => {
    await system.startEngine(['relay']);
    await until('the first still leads', async () => (await figure('tekai_relay_leads')) === 1);
    expect(system.log()).not.toContain('the relay failed');
  });

  test('a relay without an address is a mistake of the settings', async () => {
    expect(await tekai(system, 'up', 'relay')).toMatchObject({ code: 78, stderr: expect.stringContaining('TEKAI_KAFKA_URL') as string });
  });

  async function typesOf(key: string): Promise<string[]> {
    const records = await readAll(openKafkaClient({ url: kafkaUrl, clientId: 'test', logger: createLogger('silent') }));
    return records.flat().filter((fact) => fact.key === key).map(({ type }) => type);
  }
});

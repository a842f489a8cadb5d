import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { startKafka } from '../../infra/servers/kafka.ts';
import { freePort, type RunningServer } from '../../infra/servers/server.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { hasOpenssl, makeAuthority, type PrivateAuthority } from '#tests/harness/private-authority.ts';
import { describeWith } from '#tests/stack/stack-test.ts';
import { factOf, numbers } from './fact-topic.contract.ts';
import { openKafkaClient } from './kafka-client.ts';
import { createKafkaFactTopic } from './kafka-fact-topic.ts';
import { readAll } from './kafka-topic-reads.fixture.ts';
import { applyTopics } from './kafka-topics.ts';

const USER = 'tekai-work';
const SECRET = 'canary/of:a-secret';

describeWith(hasOpenssl ? 'TEKAI_TEST_KAFKA' : 'openssl', 'a Kafka with TLS and logins', () => {
  let folder: string;
  let authority: PrivateAuthority;
  let server: RunningServer;
  let port: number;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tekai-secure-kafka-'));
    authority = makeAuthority(folder);
    const { certPem, keyPem } = authority.server('127.0.0.1');
    port = await freePort();
    server = await startKafka({ directory: path.join(folder, 'kafka'), secure: { port, certPem, keyPem, users: { [USER]: SECRET } } });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const login = (secret = SECRET) => `${encodeURIComponent(USER)}:${encodeURIComponent(secret)}@`;
  const urlOf = (options: string, { secret = SECRET } = {}) => `kafka://${login(secret)}127.0.0.1:${port}?topics=test-${randomUUID()}&${options}`;
  const trusted = () => `tls=true&ca=${encodeURIComponent(authority.certFile)}`;

  function listening(): { logger: Logger; said(): string } {
    let said = '';
    const logger = pino({ level: 'trace' }, new Writable({ write(piece: Buffer, _encoding, done) { said += piece.toString(); done(); } }));
    return { logger, said: () => said };
  }

  /** I9: at no level does a client say what it logs in with. */
  test.each(['scram-sha-512', 'scram-sha-256', 'plain'])('is filled and read with %s, and no log line has the secret', async (mechanism) => {
    const { logger, said } = listening();
    const client = openKafkaClient({ url: urlOf(`${trusted()}&sasl=${mechanism}`), clientId: 'test', logger });
    await applyTopics(client, { partitions: 2 });
    const writer = await createKafkaFactTopic({ client, logger }).open('epoch', new AbortController().signal);
    await writer.write(numbers(20).map((number) => writer.place(factOf(number))));
    await writer.close();
    expect((await readAll(client)).flat()).toHaveLength(20);
    expect(said()).toContain('kafkajs');
    for (const encoding of ['utf8', 'base64', 'hex'] as const) expect(said()).not.toContain(Buffer.from(SECRET).toString(encoding));
  });

  test.each([
    ['a wrong secret', () => urlOf(`${trusted()}&sasl=scram-sha-512`, { secret: 'canary-that-is-wrong' }), /authenticat|credential/i],
    ['an authority that is not trusted', () => urlOf('tls=true&sasl=scram-sha-512'), /certificate|self.signed|unable to/i],
    ['no TLS', () => urlOf('sasl=scram-sha-512'), /./],
    ['no login', () => `kafka://127.0.0.1:${port}?${trusted()}`, /./],
  ])('%s is an outage that says why, without the secret', async (_what, url, why) => {
    const { logger, said } = listening();
    const client = openKafkaClient({ url: url(), clientId: 'test', logger });
    const failure = await applyTopics(client, {}).then(() => undefined, (error: unknown) => error as Error);
    expect(failure).toMatchObject({ name: 'Unavailable', dependency: 'kafka', message: expect.stringMatching(why) as string });
    expect(`${failure?.message} ${failure?.stack} ${said()}`).not.toContain('canary');
  });

  test('an authority that cannot be read is said at once, by its file', () => {
    expect(() => openKafkaClient({ url: urlOf('tls=true&ca=/nowhere.pem&sasl=scram-sha-512'), clientId: 'test', logger: listening().logger })).toThrow(/cannot be read: \/nowhere\.pem/);
  });
});

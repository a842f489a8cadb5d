import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hideCredentials, parseSettings, WrongSettings } from './settings.ts';

function wrongOf(env: Record<string, string>): WrongSettings {
  try {
    parseSettings(env);
  } catch (error) {
    if (error instanceof WrongSettings) return error;
    throw error;
  }
  throw new Error('the settings were taken');
}

test('nothing set is everything by default; empty is not set', () => {
  const byDefault = { stateDir: path.resolve('.tekai'), keysDir: path.resolve('.tekai'), port: 8080, internalPort: 8081, publicUrl: 'http://127.0.0.1:8080', trustedProxies: [], allowedOrigins: [], allowAddresses: [], databaseUrl: undefined, readDatabaseUrl: undefined, logLevel: 'info', isTraced: false, otherBlobs: { accessKey: '', secretKey: '', keyFile: undefined }, apiRequestsPerMinute: 120_000, polling: { requestsPerMinute: 300, activeSeconds: 60, idleSeconds: 900, peopleSeconds: 300, hookCheckSeconds: 900, hookRetrySeconds: 3_600 } };
  expect(parseSettings({})).toEqual(byDefault);
  expect(parseSettings({ TEKAI_PORT: '', TEKAI_DATABASE_URL: '', TEKAI_PUBLIC_URL: '', TEKAI_LOG_LEVEL: '', TEKAI_STATE_DIR: '', HOME: 'x' })).toEqual(byDefault);
});

test('what is set is taken; slashes at the end of the address are not', () => {
  expect(parseSettings({
    TEKAI_STATE_DIR: 'there', TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', TEKAI_PUBLIC_URL: 'https://tekai.example.com/x//', TEKAI_TRUSTED_PROXIES: '127.0.0.1, fd00::/8,', TEKAI_ALLOWED_ORIGINS: 'https://a.example, http://b.example:8080', TEKAI_ALLOW_ADDRESSES: '10.0.0.0/8', TEKAI_DATABASE_URL: 'postgres://u:p@h/d', TEKAI_READ_DATABASE_URL: 'postgres://u:p@r/d', TEKAI_EVENTSTORE_URL: 'esdb://u:p@a:2113,b:2113?tls=true', TEKAI_KAFKA_URL: 'kafka://a,b', TEKAI_REDIS_URL: 'rediss://:p@a/1', TEKAI_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318', TEKAI_BLOBS_OTHER_ACCESS_KEY: 'a', TEKAI_BLOBS_OTHER_SECRET_KEY: 'b', TEKAI_BLOBS_OTHER_KEY_FILE: '/c',
    TEKAI_GITLAB_REQUESTS_PER_MINUTE: '60', TEKAI_POLL_ACTIVE_SECONDS: '5', TEKAI_POLL_IDLE_SECONDS: '10', TEKAI_POLL_PEOPLE_SECONDS: '15', TEKAI_HOOK_CHECK_SECONDS: '20', TEKAI_HOOK_RETRY_SECONDS: '30',
  })).toEqual({ stateDir: path.resolve('there'), keysDir: path.resolve('there'), port: 0, internalPort: 0, publicUrl: 'https://tekai.example.com/x', trustedProxies: ['127.0.0.1', 'fd00::/8'], allowedOrigins: ['https://a.example', 'http://b.example:8080'], allowAddresses: ['10.0.0.0/8'], databaseUrl: 'postgres://u:p@h/d', readDatabaseUrl: 'postgres://u:p@r/d', eventstoreUrl: 'esdb://u:p@a:2113,b:2113?tls=true', kafkaUrl: 'kafka://a,b', redisUrl: 'rediss://:p@a/1', logLevel: 'debug', isTraced: true,
    otherBlobs: { accessKey: 'a', secretKey: 'b', keyFile: '/c' }, apiRequestsPerMinute: 120_000, polling: { requestsPerMinute: 60, activeSeconds: 5, idleSeconds: 10, peopleSeconds: 15, hookCheckSeconds: 20, hookRetrySeconds: 30 } });
});

test('every wrong value is told at once: the variable, what it is, what is wanted, and an example that would be taken', () => {
  const wrong = wrongOf({ TEKAI_PORT: '80801', TEKAI_INTERNAL_PORT: '1.5', TEKAI_PUBLIC_URL: 'example.com', TEKAI_TRUSTED_PROXIES: 'everybody', TEKAI_DATABASE_URL: 'mysql://u:very-hidden@h/d', TEKAI_EVENTSTORE_URL: 'http://u:very-hidden@h', TEKAI_KAFKA_URL: 'kafka://u:very-hidden@h', TEKAI_REDIS_URL: 'tcp://u:very-hidden@h', TEKAI_LOG_LEVEL: 'loud', TEKAI_POLL_ACTIVE_SECONDS: '0', TEKAI_PROT: '1' });
  expect(wrong.wrong.map(({ variable }) => variable)).toEqual(['TEKAI_PORT', 'TEKAI_INTERNAL_PORT', 'TEKAI_PUBLIC_URL', 'TEKAI_TRUSTED_PROXIES', 'TEKAI_DATABASE_URL', 'TEKAI_EVENTSTORE_URL', 'TEKAI_KAFKA_URL', 'TEKAI_REDIS_URL', 'TEKAI_LOG_LEVEL', 'TEKAI_POLL_ACTIVE_SECONDS', 'TEKAI_PROT']);
  for (const { variable, got, wanted } of wrong.wrong) expect(wrong.message).toContain(`${variable}=${got}\n    wanted: ${wanted}`);
  expect(wrong.message).toContain('TEKAI_PORT=80801');
  expect(wrong.message).not.toContain('very-hidden');
  for (const { variable, example } of wrong.wrong.filter(({ variable }) => variable !== 'TEKAI_PROT')) expect(() => parseSettings({ [variable]: example })).not.toThrow();
});

test('traces are sent where OpenTelemetry\'s variables name an address, and do not say that it is off', () => {
  const address = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' };
  expect(parseSettings(address).isTraced).toBe(true);
  expect(parseSettings({ ...address, OTEL_SDK_DISABLED: 'true' }).isTraced).toBe(false);
  expect(parseSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }).isTraced).toBe(false);
  expect(wrongOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }).wrong).toMatchObject([{ variable: 'OTEL_EXPORTER_OTLP_ENDPOINT' }]);
});

test.each([['TEKAI_PORT', 'abc'], ['TEKAI_PORT', '-1'], ['TEKAI_PORT', '8080 '], ['TEKAI_PORT', '0x50'], ['TEKAI_PORT', '65536'], ['TEKAI_PUBLIC_URL', 'ftp://x'], ['TEKAI_PUBLIC_URL', 'javascript:alert(1)'], ['TEKAI_TRUSTED_PROXIES', 'nginx'], ['TEKAI_TRUSTED_PROXIES', '10.0.0.1,127.1'], ['TEKAI_TRUSTED_PROXIES', '10.0.0.0/33'], ['TEKAI_TRUSTED_PROXIES', '0.0.0.0/0'], ['TEKAI_TRUSTED_PROXIES', '::/0'], ['TEKAI_ALLOW_ADDRESSES', 'localhost'], ['TEKAI_ALLOWED_ORIGINS', '*'], ['TEKAI_ALLOWED_ORIGINS', 'https://a.example/'], ['TEKAI_ALLOWED_ORIGINS', 'https://A.example'], ['TEKAI_ALLOWED_ORIGINS', 'https://a.example:443'], ['TEKAI_ALLOWED_ORIGINS', 'null'], ['TEKAI_ALLOWED_ORIGINS', 'wss://a.example'], ['TEKAI_DATABASE_URL', 'http://x'], ['TEKAI_EVENTSTORE_URL', 'esdb://'], ['TEKAI_LOG_LEVEL', 'INFO'], ['TEKAI_API_REQUESTS_PER_MINUTE', '0'], ['TEKAI_API_REQUESTS_PER_MINUTE', '1e3']])('%s=%s is refused', (variable, value) => {
  expect(wrongOf({ [variable]: value }).wrong).toMatchObject([{ variable, got: value }]);
});

test('what holds a secret may stand in a file, which is told when it cannot be read, or when the variable is set too', () => {
  const fileOf = (text: string) => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'tekai-settings-')), 'secret');
    writeFileSync(file, text);
    return file;
  };
  expect(parseSettings({ TEKAI_DATABASE_URL_FILE: fileOf('postgres://u:p@h/d\n'), TEKAI_REDIS_URL_FILE: '', TEKAI_KEYS_DIR: '/keys' })).toMatchObject({ databaseUrl: 'postgres://u:p@h/d', redisUrl: undefined, keysDir: '/keys' });
  const wrong = wrongOf({ TEKAI_DATABASE_URL_FILE: '/nowhere', TEKAI_KAFKA_URL: 'kafka://a', TEKAI_KAFKA_URL_FILE: fileOf('kafka://b'), TEKAI_REDIS_URL_FILE: fileOf('tcp://:very-hidden@h') });
  expect(wrong.wrong).toMatchObject([
    { variable: 'TEKAI_DATABASE_URL_FILE', got: '/nowhere', wanted: 'a file that can be read (ENOENT)', example: '/run/secrets/tekai-database-url' },
    { variable: 'TEKAI_KAFKA_URL_FILE' }, { variable: 'TEKAI_REDIS_URL' },
  ]);
  expect(wrong.message).not.toContain('very-hidden');
});

test('a replica to read from is one of a database that is named', () => {
  expect(wrongOf({ TEKAI_READ_DATABASE_URL: 'postgres://u:very-hidden@h/d' })).toMatchObject({ wrong: [{ variable: 'TEKAI_READ_DATABASE_URL' }], message: expect.not.stringContaining('very-hidden') });
});

test('the two doors cannot have one port, but each may take a free one', () => {
  expect(wrongOf({ TEKAI_PORT: '9000', TEKAI_INTERNAL_PORT: '9000' }).wrong).toMatchObject([{ variable: 'TEKAI_INTERNAL_PORT', example: '9001' }]);
  expect(() => parseSettings({ TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0' })).not.toThrow();
});

/** I9: a mistyped name may be that of a secret. */
test('the value of a variable that we do not know is not shown', () => {
  const wrong = wrongOf({ TEKAI_ACCESS_TOKEN: 'canary-of-a-token' });
  expect(wrong.message).toContain('TEKAI_ACCESS_TOKEN');
  expect(wrong.message).not.toContain('canary');
});

test.each([
  ['postgres://user:canary@host/db', 'postgres://user:***@host/db'],
  ['postgres://user:can@ary@host/db', 'postgres://user:***@host/db'],
  ['postgres://user:c%40n/ary@host', 'postgres://user:***@host'],
  ['no url ://:canary@ at all', 'no url ://:***@ at all'],
  ['postgres://host/db?user=a&password=canary&sslmode=require', 'postgres://host/db?user=a&password=***&sslmode=require'],
  ['postgres://host:5432/db', 'postgres://host:5432/db'],
  ['postgres://user@host:5432/db', 'postgres://user@host:5432/db'],
  ['from postgres://a:canary@b to postgres://c:canary@d', 'from postgres://a:***@b to postgres://c:***@d'],
])('of %s the credentials are hidden', (text, shown) => {
  expect(hideCredentials(text)).toBe(shown);
});

test('blobs in S3 need an address without faults and both keys; neither is told', () => {
  const blobs = { TEKAI_BLOBS_URL: 's3://tekai?endpoint=https://s3.example.com', TEKAI_BLOBS_ACCESS_KEY: 'an-access-key', TEKAI_BLOBS_SECRET_KEY: 'very-hidden' };
  expect(parseSettings(blobs).blobs).toMatchObject({ place: { kind: 's3', bucket: 'tekai' }, accessKey: 'an-access-key', secretKey: 'very-hidden' });
  expect(parseSettings({ TEKAI_BLOBS_URL: 'gs://tekai', TEKAI_BLOBS_KEY_FILE: '/etc/key.json' }).blobs).toMatchObject({ place: { kind: 'gcs' }, keyFile: '/etc/key.json' });
  expect(wrongOf({ TEKAI_BLOBS_URL: blobs.TEKAI_BLOBS_URL }).wrong.map(({ variable }) => variable)).toEqual(['TEKAI_BLOBS_ACCESS_KEY', 'TEKAI_BLOBS_SECRET_KEY']);
  const wrong = wrongOf({ ...blobs, TEKAI_BLOBS_URL: 's3://me:very-hidden@tekai?endpoint=https://h' });
  expect(wrong.message).toContain('credentials stand in TEKAI_BLOBS_ACCESS_KEY');
  expect(wrong.message).not.toContain('very-hidden');
});

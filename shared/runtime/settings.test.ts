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
  const byDefault = { stateDir: path.resolve('.tekai'), port: 8080, internalPort: 8081, publicUrl: 'http://127.0.0.1:8080', databaseUrl: undefined, logLevel: 'info', apiRequestsPerMinute: 120_000, polling: { requestsPerMinute: 300, activeSeconds: 60, idleSeconds: 900, hookCheckSeconds: 900, hookRetrySeconds: 3_600 } };
  expect(parseSettings({})).toEqual(byDefault);
  expect(parseSettings({ TEKAI_PORT: '', TEKAI_DATABASE_URL: '', TEKAI_PUBLIC_URL: '', TEKAI_LOG_LEVEL: '', TEKAI_STATE_DIR: '', HOME: 'x' })).toEqual(byDefault);
});

test('what is set is taken; slashes at the end of the address are not', () => {
  expect(parseSettings({
    TEKAI_STATE_DIR: 'there', TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', TEKAI_PUBLIC_URL: 'https://tekai.example.com/x//', TEKAI_DATABASE_URL: 'postgres://u:p@h/d', TEKAI_LOG_LEVEL: 'debug',
    TEKAI_GITLAB_REQUESTS_PER_MINUTE: '60', TEKAI_POLL_ACTIVE_SECONDS: '5', TEKAI_POLL_IDLE_SECONDS: '10', TEKAI_HOOK_CHECK_SECONDS: '20', TEKAI_HOOK_RETRY_SECONDS: '30',
  })).toEqual({ stateDir: path.resolve('there'), port: 0, internalPort: 0, publicUrl: 'https://tekai.example.com/x', databaseUrl: 'postgres://u:p@h/d', logLevel: 'debug',
    apiRequestsPerMinute: 120_000, polling: { requestsPerMinute: 60, activeSeconds: 5, idleSeconds: 10, hookCheckSeconds: 20, hookRetrySeconds: 30 } });
});

test('every wrong value is told at once: the variable, what it is, what is wanted, and an example that would be taken', () => {
  const wrong = wrongOf({ TEKAI_PORT: '80801', TEKAI_INTERNAL_PORT: '1.5', TEKAI_PUBLIC_URL: 'example.com', TEKAI_DATABASE_URL: 'mysql://u:very-hidden@h/d', TEKAI_LOG_LEVEL: 'loud', TEKAI_POLL_ACTIVE_SECONDS: '0', TEKAI_PROT: '1' });
  expect(wrong.wrong.map(({ variable }) => variable)).toEqual(['TEKAI_PORT', 'TEKAI_INTERNAL_PORT', 'TEKAI_PUBLIC_URL', 'TEKAI_DATABASE_URL', 'TEKAI_LOG_LEVEL', 'TEKAI_POLL_ACTIVE_SECONDS', 'TEKAI_PROT']);
  for (const { variable, got, wanted } of wrong.wrong) expect(wrong.message).toContain(`${variable}=${got}\n    wanted: ${wanted}`);
  expect(wrong.message).toContain('TEKAI_PORT=80801');
  expect(wrong.message).not.toContain('very-hidden');
  for (const { variable, example } of wrong.wrong.filter(({ variable }) => variable !== 'TEKAI_PROT')) expect(() => parseSettings({ [variable]: example })).not.toThrow();
});

test.each([['TEKAI_PORT', 'abc'], ['TEKAI_PORT', '-1'], ['TEKAI_PORT', '8080 '], ['TEKAI_PORT', '0x50'], ['TEKAI_PORT', '65536'], ['TEKAI_PUBLIC_URL', 'ftp://x'], ['TEKAI_PUBLIC_URL', 'javascript:alert(1)'], ['TEKAI_DATABASE_URL', 'http://x'], ['TEKAI_LOG_LEVEL', 'INFO'], ['TEKAI_API_REQUESTS_PER_MINUTE', '0'], ['TEKAI_API_REQUESTS_PER_MINUTE', '1e3']])('%s=%s is refused', (variable, value) => {
  expect(wrongOf({ [variable]: value }).wrong).toMatchObject([{ variable, got: value }]);
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

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './cli-run.fixture.ts';
import { connectionOf, secretFromEnv } from './connection.ts';

const { folder, remove } = temporaryFolder();
const stateDir = path.join(folder, 'state');
mkdirSync(stateDir);
writeFileSync(path.join(stateDir, 'access-token'), 'state-token\n');
afterAll(remove);

test('an engine on this machine is at its port, 8080 unless told', () => {
  expect(connectionOf({}, { TEKAI_STATE_DIR: stateDir })).toMatchObject({ url: 'http://127.0.0.1:8080', token: 'state-token' });
  expect(connectionOf({}, { TEKAI_STATE_DIR: '/elsewhere', TEKAI_KEYS_DIR: stateDir })).toMatchObject({ token: 'state-token' });
  expect(connectionOf({}, { TEKAI_STATE_DIR: stateDir, TEKAI_PORT: '9000' }).url).toBe('http://127.0.0.1:9000');
  expect(connectionOf({}, { TEKAI_URL: 'https://tekai.example.com/x/', TEKAI_PORT: '9000' }).url).toBe('https://tekai.example.com/x');
});

test('what is said on the line goes before the environment', () => {
  expect(connectionOf({ url: 'http://a:1' }, { TEKAI_URL: 'http://b:2' }).url).toBe('http://a:1');
  expect(connectionOf({}, { TEKAI_TOKEN: 'env-token', TEKAI_STATE_DIR: stateDir }).token).toBe('env-token');
});

test('a token may stand in a file that the environment names, and in one of the two places', () => {
  const file = path.join(folder, 'mounted-token');
  writeFileSync(file, 'file-token\n');
  expect(connectionOf({}, { TEKAI_TOKEN_FILE: file, TEKAI_STATE_DIR: stateDir })).toMatchObject({ token: 'file-token', tokenFrom: 'the file that TEKAI_TOKEN_FILE names' });
  expect(connectionOf({}, { TEKAI_TOKEN: 'env-token', TEKAI_TOKEN_FILE: '' }).token).toBe('env-token');
  expect(() => connectionOf({}, { TEKAI_TOKEN: 'env-token', TEKAI_TOKEN_FILE: file })).toThrow('TEKAI_TOKEN and TEKAI_TOKEN_FILE are both set');
  expect(() => connectionOf({}, { TEKAI_TOKEN_FILE: path.join(folder, 'nowhere') })).toThrow(/cannot be read/);
  expect(secretFromEnv({ TEKAI_GITLAB_TOKEN_FILE: file }, 'TEKAI_GITLAB_TOKEN')).toBe('file-token');
});

test('another host does not get the token that lies about here', () => {
  const workingDirectory = process.cwd();
  mkdirSync(path.join(folder, '.tekai'));
  writeFileSync(path.join(folder, '.tekai', 'access-token'), 'local-token');
  process.chdir(folder);
  try {
    expect(connectionOf({ url: 'http://localhost:8080' }, {}).token).toBe('local-token');
    expect(connectionOf({ url: 'http://[::1]:8080' }, {}).token).toBe('local-token');
    expect(connectionOf({ url: 'https://evil.example.com' }, {}).token).toBeUndefined();
    expect(connectionOf({ url: 'https://127.0.0.1.evil.example.com' }, {}).token).toBeUndefined();
  } finally {
    process.chdir(workingDirectory);
  }
});

test('an engine that never ran here has no token, which the engine is to say', () => {
  expect(connectionOf({}, { TEKAI_STATE_DIR: path.join(folder, 'nowhere') })).toMatchObject({ token: undefined, tokenFrom: `the file ${path.join(folder, 'nowhere', 'access-token')}` });
});

test('a file with more than a token is not sent', () => {
  const file = path.join(folder, 'passwd');
  writeFileSync(file, 'root x\n');
  expect(() => connectionOf({ tokenFile: file }, {})).toThrow(/holds more than a token/);
  writeFileSync(file, '\n');
  expect(() => connectionOf({ tokenFile: file }, {})).toThrow(/holds no token/);
});

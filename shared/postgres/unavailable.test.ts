import { Unavailable } from '#shared/runtime/unavailable.ts';
import { isUnavailable } from './unavailable.ts';

const withCode = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });

test.each([
  'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN',
  '57P01', '57P02', '57P03', '08006', '08001', '53100', '53200', '53300', '57014', '25006', '28P01', '58030',
])('%s is the database being away', (code) => {
  expect(isUnavailable(withCode(code))).toBe(true);
});

test.each(['23505', '42601', '42P01', '22P02', '40001', '40P01', 'XX000', '3D000', 'ENOENT', 'ERR_INVALID_ARG_TYPE'])('%s is not', (code) => {
  expect(isUnavailable(withCode(code))).toBe(false);
});

test.each([
  'Connection terminated unexpectedly', 'Connection terminated due to connection timeout', 'timeout expired',
  'timeout exceeded when trying to connect', 'Query read timeout', 'Client has encountered a connection error and is not queryable',
])('pg\'s "%s", which has no code, is the database being away', (message) => {
  expect(isUnavailable(new Error(message))).toBe(true);
});

test('a replica that broke off a read to go on is away; a serialization failure of a database is not', () => {
  expect(isUnavailable(Object.assign(new Error('canceling statement due to conflict with recovery'), { code: '40001' }))).toBe(true);
  expect(isUnavailable(Object.assign(new Error('could not serialize access due to concurrent update'), { code: '40001' }))).toBe(false);
});

test('a socket file that is not there is the database being away; another missing file is not', () => {
  expect(isUnavailable(withCode('ENOENT', { syscall: 'connect' }))).toBe(true);
  expect(isUnavailable(withCode('ENOENT', { syscall: 'open' }))).toBe(false);
});

test('several addresses of which all fail are the database being away', () => {
  expect(isUnavailable(new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]))).toBe(true);
  expect(isUnavailable(new AggregateError([withCode('ECONNREFUSED'), withCode('42601')]))).toBe(false);
});

test('what was told already stays told, and what is no error is none', () => {
  expect(isUnavailable(new Unavailable('database', 'away'))).toBe(true);
  for (const value of [undefined, null, 'ECONNREFUSED', new TypeError('x is not a function')]) expect(isUnavailable(value)).toBe(false);
});

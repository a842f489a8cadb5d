import { parseRedisUrl, WrongRedisUrl } from './parse-redis-url.ts';

test.each([
  ['redis://h', { host: 'h', port: 6379, database: 0, tls: false }],
  ['redis://:c%3Aa%2Fn@h:7000/3', { host: 'h', port: 7000, password: 'c:a/n', database: 3, tls: false }],
  ['rediss://u:s@[::1]:6380/?ca=/a/b.pem', { host: '::1', port: 6380, username: 'u', password: 's', database: 0, tls: true, caFile: '/a/b.pem' }],
])('%s is taken', (url, wanted) => {
  expect(parseRedisUrl(url)).toEqual({ username: undefined, password: undefined, caFile: undefined, ...wanted });
});

test.each([
  'redis', 'http://h', 'redis://', 'redis://:canary@h/x', 'redis://:canary@h?family=6', 'redis://:canary@h?ca=/f', 'rediss://:canary@h?ca=', 'redis://:canary%@h', 'redis://:canary@h:99999', 'redis://:can/ary@h',
])('%s is refused, and nothing of it is repeated', (url) => {
  expect(() => parseRedisUrl(url)).toThrow(WrongRedisUrl);
  expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ message: expect.not.stringMatching(/can|ary|family/) }));
});

import { KAFKA_URL_EXAMPLE, parseKafkaUrl, WrongKafkaUrl } from './parse-kafka-url.ts';

function faultsOf(text: string): WrongKafkaUrl {
  try {
    parseKafkaUrl(text);
  } catch (error) {
    if (error instanceof WrongKafkaUrl) return error;
    throw error;
  }
  throw new Error('it was taken');
}

test('a host alone is enough', () => {
  expect(parseKafkaUrl('kafka://one')).toEqual({ brokers: ['one:9092'], tls: false, caFile: undefined, sasl: undefined, topics: 'tekai' });
  expect(parseKafkaUrl('kafka://one:19092/')).toMatchObject({ brokers: ['one:19092'] });
});

test('all that can be said is taken', () => {
  expect(parseKafkaUrl('kafka://us%40er:s%2Fec%3Are%26t@h1:9093,h2,10.0.0.1:9094?tls=true&sasl=scram-sha-512&ca=/etc/with%20space/ca.pem&topics=team.tekai-2')).toEqual({
    brokers: ['h1:9093', 'h2:9092', '10.0.0.1:9094'], tls: true, caFile: '/etc/with space/ca.pem',
    sasl: { mechanism: 'scram-sha-512', username: 'us@er', password: 's/ec:re&t' }, topics: 'team.tekai-2',
  });
  expect(parseKafkaUrl(KAFKA_URL_EXAMPLE).sasl).toEqual({ mechanism: 'scram-sha-512', username: 'tekai', password: 'secret' });
  expect(parseKafkaUrl('kafka://u:p@h?sasl=plain&tls=true').sasl?.mechanism).toBe('plain');
});

test('a colon and an @ in a secret need not be escaped', () => {
  expect(parseKafkaUrl('kafka://u:p:q@r@h?sasl=scram-sha-256').sasl).toMatchObject({ username: 'u', password: 'p:q@r' });
});

test('every fault is told at once', () => {
  expect(faultsOf('kafka://u:canary@h:1:2,h:99999?tls=maybe&ca=/x&sasl=gssapi&topics=a/b&canary=1&tls=true').faults).toEqual([
    'it has an option that does not exist; there is tls, sasl, ca, topics', 'tls is there twice', 'tls is true or false', 'ca goes with tls=true only',
    'topics is what names of topics may begin with: letters, digits, dots, dashes, 200 at most',
    'broker 1 of 2 is no host:port', 'broker 2 of 2 is no host:port', 'sasl is one of plain, scram-sha-256, scram-sha-512',
  ]);
});

test.each([
  ['http://h', /kafka:\/\//], ['kafka://', /kafka:\/\//], ['kafka://h/path', /kafka:\/\//], ['kafka://h,', /broker 2/], ['kafka://h:0', /broker 1/], ['kafka://[::1]:9092', /broker 1/],
  ['kafka://u:canary@h', /needs sasl/], ['kafka://u@h?sasl=plain&tls=true', /user and a secret/], ['kafka://:canary@h?sasl=scram-sha-256', /user and a secret/], ['kafka://u:@h?sasl=scram-sha-256', /user and a secret/],
  ['kafka://u:canary%@h?sasl=scram-sha-256', /user and a secret/], ['kafka://h?sasl=scram-sha-256', /needs a user/], ['kafka://u:canary@h?sasl=plain', /with tls=true only/], ['kafka://h?ca=', /ca has no value/],
])('%s is refused', (text, fault) => {
  expect(faultsOf(text).message).toMatch(fault);
});

/** I9 */
test.each(['kafka://u:canary@h?tls=canary', 'kafka://u:can/ary-canary@h', 'kafka://u:canary@h?canary=canary', 'kafka://u:canary@canary:canary', 'kafka://u:canary?x@h', 'canary'])('nothing of %s is repeated', (text) => {
  expect(faultsOf(text).message).not.toContain('canary');
});

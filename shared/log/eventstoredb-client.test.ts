import { credentialsOf, openEventstoredbClient } from './eventstoredb-client.ts';

test('a ? in the password begins no options: appends go by the whole of it', async () => {
  const text = 'esdb://tekai:s3?cretWord@127.0.0.1:2113?tls=false';
  await openEventstoredbClient(text).dispose();
  expect(credentialsOf(text)).toEqual({ username: 'tekai', password: 's3?cretWord' });
});

test('a : in the password, where the client would cut it, is refused, and %3A is a : of it; nothing of either is told', () => {
  expect(() => openEventstoredbClient('esdb://tekai:one:word@127.0.0.1:2113?tls=false')).toThrow(/^the EventStoreDB connection string has a : in its password: it is written %3A$/);
  expect(credentialsOf('esdb://tekai:one%3Aword@127.0.0.1:2113?tls=false').password).toBe('one:word');
});

test('an @ in the password is asked for as %40, and nothing of what stands around it is told', () => {
  for (const word of ['p@s3?cretWord', 'p@s3?cretWord=1&more']) {
    const refused = () => openEventstoredbClient(`esdb://tekai:${word}@127.0.0.1:2113?tls=false`);
    expect(refused).toThrow(/written %40/);
    expect(refused).not.toThrow(/cretWord|more/);
  }
});

test('an option that there is not is named, and the password beside it is not', () => {
  const refused = () => openEventstoredbClient('esdb://tekai:s3?cretWord@127.0.0.1:2113?tls=false&tlsVerifyCert=false');
  expect(refused).toThrow(/unknown option tlsVerifyCert;/);
  expect(refused).not.toThrow(/cretWord/);
});

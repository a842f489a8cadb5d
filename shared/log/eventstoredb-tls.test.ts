import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BEGINNING } from '#schemas/brand.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { startEventstoreDouble, type EventstoreDouble } from '../../tests/harness/eventstore-double.ts';
import { until } from '../../tests/harness/system.ts';
import { hasOpenssl, makeAuthority, type PrivateAuthority } from '../../tests/harness/private-authority.ts';
import { eventLogContract } from './event-log.contract.ts';
import { newFacts, newFamily } from './event-log-facts.contract.ts';
import { createEventstoredbEventLog, type EventstoredbEventLog } from './eventstoredb-event-log.ts';

/** Characters that a connection string must escape: what is sent is what was meant. */
const [USER, WORD] = ['ops', 'p:a%s@s w/ö'];
const HOST = '127.0.0.1';

(hasOpenssl ? describe : describe.skip)('over TLS, with an authority of our own and users (needs openssl)', () => {
  let folder: string;
  let authority: PrivateAuthority;
  let double: EventstoreDouble;
  const opened: EventstoredbEventLog[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tekai-eventstore-tls-'));
    authority = makeAuthority(folder);
    double = await startEventstoreDouble({ certified: authority.server(HOST), users: [`${USER}:${WORD}`, 'admin:changeit'] });
  });
  afterAll(async () => {
    for (const log of opened) log.close();
    await double.program.stop();
    await rm(folder, { recursive: true });
  });

  function open({ user = USER, word = WORD, ca = authority.certFile, tls = true } = {}): EventstoredbEventLog {
    const who = user === '' ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(word)}@`;
    const log = createEventstoredbEventLog({ connectionString: `esdb://${who}${HOST}:${double.port}?tls=${tls}${tls ? `&tlsCAFile=${ca}` : ''}` });
    opened.push(log);
    return log;
  }

  eventLogContract('the log over TLS', async () => open());

  const uses = [
    ['an append', (log: EventstoredbEventLog) => log.append(newFamily().of('a'), 'noStream', newFacts(1))],
    ['a read', (log: EventstoredbEventLog) => log.readStream(newFamily().of('a'), { limit: 1 })],
    ['the head', (log: EventstoredbEventLog) => log.head()],
    ['the epoch', (log: EventstoredbEventLog) => log.epoch()],
  ] as const;
  const CHECK = /check the user, the password and the access lists/;
  test.each([['a wrong password', { word: 'wrong' }, CHECK], ['a user that is not there', { user: 'nobody-here' }, CHECK], ['no user', { user: '' }, CHECK]])('%s is told as such, and waited for', async (_, given, words) => {
    for (const [, use] of uses) {
      const told = await use(open(given)).catch((error: unknown) => error);
      expect(told).toBeInstanceOf(Unavailable);
      expect((told as Error).message).toMatch(words);
      expect((told as Error).message).not.toContain(WORD);
    }
  });

  test('a subscription that is not let in tries again, and gives nothing', async () => {
    const stopping = new AbortController();
    let isOver = false;
    const first = open({ word: 'wrong' }).subscribe({ after: BEGINNING, prefixes: [], signal: stopping.signal })[Symbol.asyncIterator]().next().finally(() => { isOver = true; });
    const denied = async () => (await double.state()).calls['denied'] ?? 0;
    const before = await denied();
    await until('it tried three times', async () => await denied() >= before + 3);
    expect(isOver).toBe(false);
    stopping.abort();
    expect(await first).toEqual({ done: true, value: undefined });
  });

  test('a server whose authority is not ours is away, and so is one that is asked in the clear, and one that speaks for another host', async () => {
    const stranger = makeAuthority(folder, 'stranger');
    await expect(open({ ca: stranger.certFile }).head()).rejects.toThrow(Unavailable);
    await expect(open({ tls: false }).head()).rejects.toThrow(Unavailable);
    const other = await startEventstoreDouble({ certified: authority.server('other.example.com') });
    const log = createEventstoredbEventLog({ connectionString: `esdb://${HOST}:${other.port}?tls=true&tlsCAFile=${authority.certFile}` });
    opened.push(log);
    await expect(log.head()).rejects.toThrow(Unavailable);
    await other.program.stop();
  });
});

import { BEGINNING } from '#schemas/brand.ts';
import { startEventstoreDouble, type EventstoreDouble } from '../../tests/harness/eventstore-double.ts';
import { until } from '../../tests/harness/system.ts';
import { eventLogContract } from './event-log.contract.ts';
import { follow, idsOf, newFacts, newFamily } from './event-log-facts.contract.ts';
import { createEventstoredbEventLog, type EventstoredbEventLog } from './eventstoredb-event-log.ts';

let double: EventstoreDouble;
const opened: EventstoredbEventLog[] = [];
beforeAll(async () => { double = await startEventstoreDouble({ nodes: 3 }); });
afterAll(async () => {
  for (const log of opened) log.close();
  await double.program.stop();
});

function open(url = double.url): EventstoredbEventLog {
  const log = createEventstoredbEventLog({ connectionString: url });
  opened.push(log);
  return log;
}
const hosts = () => /\/\/([^?]+)/.exec(double.url)?.[1]?.split(',') ?? [];

eventLogContract('the log on a cluster of three', async () => open());

test('a seed is enough to find the leader, whichever it is', async () => {
  for (const host of hosts()) {
    const [stream, facts] = [newFamily().of('a'), newFacts(1)];
    const log = open(`esdb+discover://${host}?tls=false`);
    await log.append(stream, 'noStream', facts);
    expect(idsOf(await log.readStream(stream, { limit: 1 }))).toEqual(idsOf(facts));
  }
});

test('who was led to a follower by its address alone is sent on to the leader', async () => {
  const [, follower] = hosts();
  const [stream, facts] = [newFamily().of('a'), newFacts(2)];
  const log = open(`esdb://${follower}?tls=false`);
  expect(await log.append(stream, 'noStream', facts)).toMatchObject({ kind: 'appended', revision: 1 });
  expect(idsOf(await log.readStream(stream, { limit: 2 }))).toEqual(idsOf(facts));
});

test('over changes of the leader, and over nodes that go and come back, every append is stored once and every fact given once, in order (I2)', async () => {
  const [family, log] = [newFamily(), open()];
  const stopping = new AbortController();
  let appends = 0;
  let wanted = Infinity;
  const given = follow(open(), { after: BEGINNING, prefixes: [family.prefix] }, ({ facts }) => facts.length >= wanted);
  const appendOne = async () => {
    const facts = newFacts(1);
    // As whoever appends does: the same fact at the same revision, until the log says what became of it.
    const outcome = await until('it is appended', () => log.append(family.of('a'), appends === 0 ? 'noStream' : appends - 1, facts));
    expect(outcome).toMatchObject({ kind: 'appended', revision: appends });
    appends += 1;
  };
  const writing = (async () => {
    while (!stopping.signal.aborted) await appendOne();
  })();
  writing.catch(() => undefined);
  const grown = (by: number) => { const count = appends + by; return until(`${count} are appended`, () => appends >= count); };
  for (const leader of [1, 2, 0]) {
    await grown(20);
    await double.node('lead', leader);
  }
  for (const node of [0, 1, 2]) {
    await grown(20);
    await double.node('take-down', node);
    await grown(20);
    await double.node('bring-up', node);
  }
  await grown(20);
  stopping.abort();
  await writing;
  // Who follows looks when something comes: this comes once it is known how much there is.
  wanted = appends + 1;
  await appendOne();
  const { facts } = await given;
  const stored = await until('it can be read', () => log.readStream(family.of('a'), { limit: 10_000 }));
  expect(stored).toHaveLength(appends);
  expect(facts.map(({ revision }) => revision)).toEqual(stored.map(({ revision }) => revision));
  expect(stored.length).toBeGreaterThan(200);
}, 300_000);

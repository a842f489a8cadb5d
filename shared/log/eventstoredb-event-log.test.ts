import { startEventstoreDouble, type EventstoreDouble } from '../../tests/harness/eventstore-double.ts';
import { eventLogContract } from './event-log.contract.ts';
import { eventLogProperties } from './event-log-properties.contract.ts';
import { createEventstoredbEventLog, type EventstoredbEventLog } from './eventstoredb-event-log.ts';

/** A real server, when there is one: `EVENTSTORE_URL=esdb://admin:changeit@127.0.0.1:2113?tls=true&tlsCAFile=…`. Its facts stay there. */
const url = process.env['EVENTSTORE_URL'];

let double: EventstoreDouble | undefined;
let log: EventstoredbEventLog;

beforeAll(async () => {
  if (url === undefined) double = await startEventstoreDouble();
  log = createEventstoredbEventLog({ connectionString: url ?? double?.url ?? '' });
});

afterAll(async () => {
  log.close();
  await double?.program.stop();
});

const name = url === undefined ? 'the log on a double of EventStoreDB' : 'the log on EventStoreDB';
eventLogContract(name, async () => log);
eventLogProperties(name, async () => log, { runs: 40 });

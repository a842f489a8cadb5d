// Writes to the log as fast as it can, until it is killed: node … log-writers.ts <database url> <stream name's beginning>
// Prints {tried} before it sends an append and {acknowledged} when it was told that it is durable.
import { randomUUID } from 'node:crypto';
import { streamName, type FactId } from '#schemas/brand.ts';
import type { Appendable, ExpectedRevision } from '#shared/log/event-log.ts';
import { createPostgresEventLog } from '#shared/log/postgres-event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';

const WRITERS = 8;

const [url = '', prefix = ''] = process.argv.slice(2);
const log = createPostgresEventLog({ pool: createPool(url, { connectionsMax: 4, applicationName: 'log-writers' }) });
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

await Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
  const stream = streamName.parse(`${prefix}${writer}`);
  let expected: ExpectedRevision = 'noStream';
  for (let round = 0; ; round += 1) {
    const facts = Array.from({ length: 1 + (round % 3) }, newFact);
    print({ tried: { stream, expected, facts } });
    const outcome = await log.append(stream, expected, facts);
    if (outcome.kind !== 'appended') throw new Error(`${stream} is at ${outcome.actual}, though nobody else writes there`);
    print({ acknowledged: facts[0]?.id });
    expected = outcome.revision;
  }
}));

function newFact(): Appendable {
  return {
    id: randomUUID() as FactId, type: 'drill.written', schemaVersion: 1, key: 'drill', time: new Date().toISOString(),
    actor: { kind: 'worker', id: 'log-writers' }, correlationId: 'drill', causationId: null, data: {},
  };
}

import { BEGINNING } from '#schemas/brand.ts';
import { eventLogContract } from './event-log.contract.ts';
import { eventLogProperties } from './event-log-properties.contract.ts';
import { createMemoryEventLog } from './memory-event-log.ts';

eventLogContract('the memory log', async () => createMemoryEventLog());
eventLogProperties('the memory log', async () => createMemoryEventLog(), { runs: 200 });

test('an empty memory log has its head at the beginning', async () => {
  expect(await createMemoryEventLog().head()).toBe(BEGINNING);
});

test('two memory logs have two epochs', async () => {
  expect(await createMemoryEventLog().epoch()).not.toBe(await createMemoryEventLog().epoch());
});

import type { StreamName } from '#schemas/brand.ts';
import { NO_TRACING, type Span } from '#shared/runtime/tracing.ts';
import { newFact } from './event-log-facts.contract.ts';
import { createMemoryEventLog } from './memory-event-log.ts';
import { createTracedLog } from './traced-log.ts';

const STREAM = 'sync-1' as StreamName;
const HERE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const BEFORE = '00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01';

function traced(here: string | undefined) {
  const begun: Span[] = [];
  let current = here;
  const log = createTracedLog(createMemoryEventLog(), {
    traceparent: () => current,
    inSpan(span, work) { begun.push(span); current = HERE; return NO_TRACING.inSpan(span, work); },
  });
  return { log, begun, places: async () => (await log.readStream(STREAM, { limit: 9 })).map((fact) => fact.traceparent) };
}

test('what is appended says where it was made; what says so already keeps it', async () => {
  const { log, begun, places } = traced(HERE);
  await log.append(STREAM, 'noStream', [newFact(), newFact({ traceparent: BEFORE })]);
  expect(await places()).toEqual([HERE, BEFORE]);
  expect(begun).toEqual([]);
});

test('what lay in the spool is appended as it was made, whoever appends it', async () => {
  const { log, begun, places } = traced(undefined);
  await log.append(STREAM, 'noStream', [newFact({ traceparent: BEFORE })]);
  expect([await places(), begun]).toEqual([[BEFORE], []]);
});

test('where nobody works in a span a trace begins', async () => {
  const { log, begun, places } = traced(undefined);
  await log.append(STREAM, 'noStream', [newFact()]);
  expect(await places()).toEqual([HERE]);
  expect(begun).toMatchObject([{ name: 'look', traceparent: undefined }]);
});

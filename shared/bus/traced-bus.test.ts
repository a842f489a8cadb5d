import type { Fact } from '#schemas/events/facts.ts';
import type { Span, SpanAttributes } from '#shared/runtime/tracing.ts';
import type { Bus, Consumer, Handling, Outcome } from './bus.ts';
import { createTracedBus } from './traced-bus.ts';

const fact = { id: 'f', type: 'codebase.fetched', key: 'k', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' } as unknown as Fact;

/** What a consumer of this group is given by the traced bus, and the spans that come of it. */
async function handled(group: string, outcome: Outcome) {
  const spans: (Span & { noted?: SpanAttributes })[] = [];
  const inner: { consumer?: Consumer } = {};
  const bus = createTracedBus({ consume: async (consumer) => { inner.consumer = consumer; } } as Partial<Bus> as Bus, {
    names: { scanner: 'scan' },
    tracing: { inSpan: (span, work) => work((noted) => spans.push({ ...span, noted })) },
  });
  await bus.consume({ group, types: [], concurrency: 1, handle: async () => outcome }, new AbortController().signal);
  return { spans, outcome: await inner.consumer?.handle(fact, {} as Handling) };
}

test('a look at a fact is a span in its trace, and says how it ended', async () => {
  const waits = { kind: 'retry', afterMs: 1, reason: 'GitLab is away' } as const;
  expect(await handled('scanner', waits)).toEqual({ outcome: waits, spans: [{
    name: 'scan', traceparent: fact.traceparent, attributes: { 'tekai.fact.id': 'f', 'tekai.fact.type': 'codebase.fetched', 'tekai.key': 'k' }, noted: { 'tekai.outcome': 'retry' },
  }] });
});

test('a group that has no name on the road of a push has no spans', async () => {
  expect(await handled('others', { kind: 'done' })).toEqual({ outcome: { kind: 'done' }, spans: [] });
});

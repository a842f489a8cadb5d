import { attributesOf, type SpanName, type Tracing } from '#shared/runtime/tracing.ts';
import type { Bus, Consumer } from './bus.ts';

/**
 * Every look of a consumer at a fact is a span in the fact's trace: also one that ends in waiting, which `tekai.outcome` says.
 * `names` are those of the groups' spans.
 */
export function createTracedBus(bus: Bus, { tracing, names }: { readonly tracing: Pick<Tracing, 'inSpan'>; readonly names: Readonly<Record<string, SpanName>> }): Bus {
  const traced = (consumer: Consumer): Consumer => {
    const name = names[consumer.group];
    if (name === undefined) return consumer;
    return {
      ...consumer,
      handle: (fact, handling) => tracing.inSpan({ name, traceparent: fact.traceparent, attributes: attributesOf(fact) }, async (note) => {
        const outcome = await consumer.handle(fact, handling);
        note({ 'tekai.outcome': outcome.kind });
        return outcome;
      }),
    };
  };
  return { ...bus, consume: (consumer, signal) => bus.consume(traced(consumer), signal) };
}

import { attributesOf, type Tracing } from '#shared/runtime/tracing.ts';
import type { Appendable, EventLog } from './event-log.ts';

/**
 * Facts say in which span they were made, so that the work on them goes on from there: in another process, after a restart.
 * Where nobody works in a span it is the scheduler, who looks by himself: a trace begins with what he found.
 */
export function createTracedLog(log: EventLog, tracing: Pick<Tracing, 'traceparent' | 'inSpan'>): EventLog {
  return {
    ...log,
    append(stream, expected, facts) {
      const append = () => log.append(stream, expected, facts.map((fact) => placed(fact, tracing.traceparent())));
      const [first] = facts;
      const isPlaced = tracing.traceparent() !== undefined || first === undefined || first.traceparent !== undefined;
      return isPlaced ? append() : tracing.inSpan({ name: 'look', traceparent: undefined, attributes: attributesOf(first) }, append);
    },
  };
}

/** One that was made before (it lay in the spool) says so already. */
function placed(fact: Appendable, traceparent: string | undefined): Appendable {
  return fact.traceparent !== undefined || traceparent === undefined ? fact : { ...fact, traceparent };
}

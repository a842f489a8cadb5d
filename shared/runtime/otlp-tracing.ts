import { context, diag, DiagLogLevel, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context, type Span as OtelSpan, type SpanContext } from '@opentelemetry/api';
import { NodeSDK, resources } from '@opentelemetry/sdk-node';
import { withDeadline } from './deadline.ts';
import { createLogger } from './logger.ts';
import { hideCredentials } from './settings.ts';
import { attributesOf, type Span, type SpanAttributes, type SpanName, type TracedFact, type Tracing } from './tracing.ts';

/** A rebuild reads facts of years, whose traces nobody looks at any more: those of the last hour are still of interest, also when they come late. */
const FACT_AGE_MS_MAX = 3_600_000;
/** A stop does not wait longer for whoever takes the traces. */
const CLOSE_MS_MAX = 3_000;
/** Whoever takes the traces may be away for days: a line a minute says so. */
const COMPLAINT_EVERY_MS = 60_000;

/** What came in through a door; all else is work on a fact. */
const DOORS: readonly SpanName[] = ['webhook delivery', 'command'];

/**
 * Traces over OTLP, once a process. Where to, how much and by what protocol the SDK reads by itself from OTEL_EXPORTER_OTLP_*,
 * OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME. Only what is told here is traced, and nothing but traces is sent.
 */
export function startOtlpTracing(): Tracing {
  complainSometimes();
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': 'tekai', 'process.pid': process.pid }),
    // Those of the process and the host would tell command lines, paths and accounts.
    resourceDetectors: [resources.envDetector],
    instrumentations: [], metricReaders: [], logRecordProcessors: [], textMapPropagator: null,
  });
  sdk.start();
  const tracer = trace.getTracer('tekai');
  const begin = ({ name, traceparent, attributes = {} }: Span, startTime?: number): { span: OtelSpan; within: Context } => {
    const parent = spanContextOf(traceparent);
    const from = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const span = tracer.startSpan(name, { kind: DOORS.includes(name) ? SpanKind.SERVER : SpanKind.CONSUMER, attributes, ...(startTime === undefined ? {} : { startTime }) }, from);
    return { span, within: trace.setSpan(from, span) };
  };

  return {
    isOn: true,
    async inSpan(given, work) {
      const { span, within } = begin(given);
      return ending([span], () => context.with(within, () => work((attributes: SpanAttributes) => void span.setAttributes(attributes))));
    },
    async inSpans(name, facts, work) {
      const startTime = Date.now();
      const spans = facts.filter((fact) => isRecent(fact, startTime)).map((fact) => begin({ name, traceparent: fact.traceparent, attributes: attributesOf(fact) }, startTime).span);
      return ending(spans, work);
    },
    traceparent: () => traceparentOf(trace.getActiveSpan()?.spanContext()),
    logFields() {
      const here = trace.getActiveSpan()?.spanContext();
      return here === undefined ? {} : { trace_id: here.traceId, span_id: here.spanId };
    },
    async close() {
      await withDeadline(sdk.shutdown(), { ms: CLOSE_MS_MAX, dependency: 'traces' }).catch(() => undefined);
      for (const api of [trace, context, diag]) api.disable();
    },
  };
}

const isRecent = ({ traceparent, time }: TracedFact, now: number) => traceparent !== undefined && Date.parse(time) > now - FACT_AGE_MS_MAX;

/** That it failed, and as what kind of error; not its text. */
async function ending<T>(spans: readonly OtelSpan[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const kind = error instanceof Error ? error.name : 'unknown';
    for (const span of spans) span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', kind);
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}

/** https://www.w3.org/TR/trace-context: of later versions than 00 what is known of this one is taken. */
export function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}

function traceparentOf(here: SpanContext | undefined): string | undefined {
  return here === undefined || !isSpanContextValid(here) ? undefined : `00-${here.traceId}-${here.spanId}-0${here.traceFlags & TraceFlags.SAMPLED}`;
}

/** What the SDK complains of, mostly that nobody takes the traces: a line a minute, without what it was sent with. */
function complainSometimes(): void {
  const logger = createLogger('warn');
  let quietUntil = 0;
  const complain = (message: string) => {
    if (Date.now() < quietUntil) return;
    quietUntil = Date.now() + COMPLAINT_EVERY_MS;
    logger.warn({ reason: hideCredentials(message).slice(0, 500) }, 'traces are not taken; the work goes on without them');
  };
  const nothing = () => undefined;
  diag.setLogger({ error: complain, warn: complain, info: nothing, debug: nothing, verbose: nothing }, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

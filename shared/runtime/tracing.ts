import type { Envelope } from '#schemas/events/fact.ts';

/** The road of a push, and what else begins or carries a trace. */
export type SpanName = 'webhook delivery' | 'command' | 'look' | 'hook' | 'fetch' | 'scan' | 'store' | 'project' | 'notify';

/** Ids, kinds and numbers. Never free text, addresses or messages of errors: secrets hide in those. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Span {
  readonly name: SpanName;
  /** W3C: what it goes on from. Undefined, or malformed: a trace begins here. */
  readonly traceparent: string | undefined;
  readonly attributes?: SpanAttributes;
}

export type TracedFact = Pick<Envelope, 'id' | 'type' | 'key' | 'time' | 'traceparent'>;

/** One trace a delivery or command, over all processes: what a fact's `traceparent` says is where the work on it goes on. */
export interface Tracing {
  /** False: nobody need be wrapped in anything. */
  readonly isOn: boolean;
  /** Work in a span of its own. `note` adds what is known of it at its end. */
  inSpan<T>(span: Span, work: (note: (attributes: SpanAttributes) => void) => Promise<T>): Promise<T>;
  /** Work on many facts together: a span for each, in its own trace. Facts of long ago, which a rebuild reads again, have none. */
  inSpans<T>(name: SpanName, facts: readonly TracedFact[], work: () => Promise<T>): Promise<T>;
  /** Of the span that the caller works in. */
  traceparent(): string | undefined;
  /** What a log line says of the span that it was written in. */
  logFields(): Readonly<Record<string, string>>;
  /** Sends what was not sent yet, for a moment at most. */
  close(): Promise<void>;
}

/** Off: the work and nothing else. */
export const NO_TRACING: Tracing = {
  isOn: false,
  inSpan: (_span, work) => work(noteNothing),
  inSpans: (_name, _facts, work) => work(),
  traceparent: () => undefined,
  logFields: () => ({}),
  close: async () => undefined,
};

function noteNothing(): void {}

/** What every span of a fact says of it. */
export const attributesOf = ({ id, type, key }: TracedFact): SpanAttributes => ({ 'tekai.fact.id': id, 'tekai.fact.type': type, 'tekai.key': key });

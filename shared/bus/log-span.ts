import type { Position } from '#schemas/brand.ts';
import { streamPrefixesOf, type FactType } from '#schemas/events/facts.ts';
import type { EventLog, Recorded } from '#shared/log/event-log.ts';

export interface LogSpan {
  readonly types: readonly FactType[];
  readonly after: Position;
  /** Stands in the log. */
  readonly upTo: Position;
  has(fact: Recorded): boolean;
}

/** The facts of some keys between two places of the log, as far as it has any; ends there, or when the signal aborts. */
export async function* readSpan(log: Pick<EventLog, 'subscribe'>, { types, after, upTo, has }: LogSpan, signal: AbortSignal): AsyncGenerator<readonly Recorded[]> {
  const wanted = new Set<string>(types);
  const ended = new AbortController();
  try {
    for await (const batch of log.subscribe({ after, prefixes: streamPrefixesOf(types), signal: AbortSignal.any([signal, ended.signal]) })) {
      const facts = batch.facts.filter((fact) => fact.position <= upTo && wanted.has(fact.type) && has(fact));
      if (facts.length > 0) yield facts;
      if (batch.position >= upTo || batch.isCaughtUp) return;
    }
  } finally {
    ended.abort();
  }
}

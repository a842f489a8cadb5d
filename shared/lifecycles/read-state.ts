import type { StreamName } from '#schemas/brand.ts';
import { parseFact, type Fact } from '#schemas/events/facts.ts';
import type { EventLog } from '#shared/log/event-log.ts';

/** Streams of decisions are short; a page of them is one look at the log. */
const PAGE_FACTS = 500;

/** What a stream of decisions comes to: pure, fact by fact. Undefined: it has not begun. */
export type Apply<State> = (before: State | undefined, fact: Fact) => State | undefined;

/** The whole stream, folded a page at a time. @throws Unavailable | UnreadableFact */
export async function readState<State>(log: Pick<EventLog, 'readStream'>, stream: StreamName, apply: Apply<State>): Promise<State | undefined> {
  let state: State | undefined;
  for await (const fact of factsOf(log, stream)) state = apply(state, fact);
  return state;
}

/** Every fact of a stream, oldest first, read a page at a time. @throws Unavailable | UnreadableFact */
export async function* factsOf(log: Pick<EventLog, 'readStream'>, stream: StreamName): AsyncGenerator<Fact> {
  for (let from = 0; ;) {
    const page = await log.readStream(stream, { from, limit: PAGE_FACTS });
    for (const recorded of page) yield parseFact(recorded);
    if (page.length < PAGE_FACTS) return;
    from += page.length;
  }
}

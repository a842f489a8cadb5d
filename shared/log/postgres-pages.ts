import type { Position } from '#schemas/brand.ts';
import { decodeFact, positionOf, sequenceOf } from './encode-append.ts';
import type { ReadPage } from './follow-pages.ts';
import type { LogQuery } from './postgres-log-query.ts';

/** 88,000 facts a second and more in pages of this size; bigger ones give little and hold the event loop longer. */
const PAGE_FACTS_MAX = 1_000;
/** A page also ends after the fact that passes this: a thousand facts of 1 MiB must not meet in memory. */
const PAGE_BYTES_MAX = 4 * 1_048_576;
/** How many facts one statement looks at when few or none of them match; then the position moves on without them. */
const SPAN_FACTS_MAX = 20_000;

interface Row {
  readonly head: string;
  /** The one row of an empty page has only the head. */
  readonly position: string | null;
  readonly revision: string;
  readonly stream: string;
  readonly fact: string;
}

export function createPostgresPages(query: LogQuery): ReadPage {
  return async ({ after, prefixes }) => {
    const from = sequenceOf(after);
    const rows = await query<Row>({
      name: 'log-read-page',
      text: 'select * from es_page($1, $2, $3, $4, $5)',
      values: [from, prefixes, SPAN_FACTS_MAX, PAGE_FACTS_MAX, PAGE_BYTES_MAX],
    });
    const head = Number(rows[0]?.head);
    const matching = rows.filter((row) => row.position !== null);
    const facts = matching.map((row) => decodeFact(row.fact, {
      stream: row.stream, revision: Number(row.revision), position: positionOf(row.position ?? ''),
    }));

    // A page that was cut goes to its last fact, any other to the end of what was looked at. Never back, also when the log is
    // behind `after`: that one is of another epoch, and for whoever asks to find out.
    const seenTo = isCut(matching) ? Number(matching.at(-1)?.position) : Math.min(head, from + SPAN_FACTS_MAX);
    const position: Position = seenTo > from ? positionOf(seenTo) : after;
    return { facts, position, isCaughtUp: seenTo >= head };
  };
}

function isCut(rows: readonly Row[]): boolean {
  return rows.length === PAGE_FACTS_MAX || rows.reduce((sum, row) => sum + Buffer.byteLength(row.fact), 0) >= PAGE_BYTES_MAX;
}

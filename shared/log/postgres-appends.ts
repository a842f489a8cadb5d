import type { Position } from '#schemas/brand.ts';
import { createGroupCommit } from '#shared/runtime/group-commit.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { expectedOf, positionOf, type EncodedAppend } from './encode-append.ts';
import type { AppendOutcome } from './event-log.ts';
import type { LogQuery } from './postgres-log-query.ts';

/** Fewer make the fsync of each flush dearer, more make the first of them wait longer: 512 take about 12 ms. */
const FLUSH_APPENDS_MAX = 512;
/** Four of the largest appends. What a flush sends stands in memory three times: here, in the driver, in the server. */
const FLUSH_BYTES_MAX = 4 * 1_048_576;
/** A server that is slow or silent must not fill this process: ten seconds of the fastest writing measured. */
const WAITING_APPENDS_MAX = 100_000;
const WAITING_BYTES_MAX = 64 * 1_048_576;

export interface PostgresAppends {
  /** @throws Unavailable */
  add(append: EncodedAppend): Promise<AppendOutcome>;
}

/** A failure is a result too: one append's must not become that of all that were flushed with it. */
type Flushed = AppendOutcome | { readonly kind: 'failed'; readonly error: unknown };

/** The queue of this process before es_append. */
export function createPostgresAppends(query: LogQuery, { onAppended }: { onAppended(position: Position): void }): PostgresAppends {
  let waiting = 0;
  let waitingBytes = 0;
  const group = createGroupCommit<EncodedAppend, Flushed>({
    itemsMax: FLUSH_APPENDS_MAX, bytesMax: FLUSH_BYTES_MAX, bytesOf: ({ bytes }) => bytes, commit: flush,
  });

  return {
    async add(append) {
      if (waiting >= WAITING_APPENDS_MAX || waitingBytes + append.bytes > WAITING_BYTES_MAX) {
        throw new Unavailable('event log', `${waiting} appends of ${waitingBytes} bytes are waiting for it already`);
      }
      waiting += 1;
      waitingBytes += append.bytes;
      try {
        const flushed = await group.add(append);
        if (flushed.kind === 'failed') throw flushed.error;
        return flushed;
      } finally {
        waiting -= 1;
        waitingBytes -= append.bytes;
      }
    },
  };

  async function flush(appends: readonly EncodedAppend[]): Promise<Flushed[]> {
    const results = new Map<EncodedAppend, Flushed>();
    for (const wave of wavesOf(appends)) {
      const flushed = await appendOrFail(wave);
      wave.forEach((append, index) => results.set(append, flushed[index] as Flushed));
      const newest = flushed.flatMap((one) => (one.kind === 'appended' ? [one.position] : [])).sort().at(-1);
      if (newest !== undefined) onAppended(newest);
    }
    return appends.map((append) => results.get(append) as Flushed);
  }

  async function appendOrFail(appends: readonly EncodedAppend[]): Promise<Flushed[]> {
    try {
      return await callAppend(query, appends);
    } catch (error) {
      if (error instanceof Unavailable || appends.length === 1) return appends.map(() => ({ kind: 'failed', error }));
    }
    // The database refuses something in it and wrote nothing of it; only what it refuses may fail.
    const results: Flushed[] = [];
    for (const append of appends) results.push(...await appendOrFail([append]));
    return results;
  }
}

/** No stream twice in one call of es_append: what comes later for a stream goes into the next, in order. */
function wavesOf(appends: readonly EncodedAppend[]): EncodedAppend[][] {
  const waves: EncodedAppend[][] = [];
  const earlier = new Map<string, number>();
  for (const append of appends) {
    const index = earlier.get(append.stream) ?? 0;
    earlier.set(append.stream, index + 1);
    (waves[index] ??= []).push(append);
  }
  return waves;
}

async function callAppend(query: LogQuery, appends: readonly EncodedAppend[]): Promise<AppendOutcome[]> {
  const facts = appends.flatMap((append, index) => append.facts.map((fact, place) => ({ ...fact, owner: index + 1, nth: place + 1 })));
  const rows = await query<{ tail: string; position: string | null }>({
    name: 'log-append',
    text: 'select tail, position from es_append($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [
      appends.map(({ stream }) => stream), appends.map(({ expected }) => expected), appends.map((append) => append.facts.length),
      facts.map(({ owner }) => owner), facts.map(({ nth }) => nth), facts.map(({ id }) => id), facts.map(({ bytes }) => bytes), facts.map(({ json }) => json),
    ],
  });
  return appends.map((append, index) => outcomeOf(append, rows[index]));
}

function outcomeOf({ expected, facts }: EncodedAppend, row: { tail: string; position: string | null } | undefined): AppendOutcome {
  if (row === undefined) throw new Error('es_append did not answer for every append that it was asked for');
  if (row.position === null) return { kind: 'wrongRevision', actual: expectedOf(Number(row.tail)) };
  return { kind: 'appended', revision: expected + facts.length, position: positionOf(row.position) };
}

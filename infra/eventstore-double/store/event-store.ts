import { randomUUID } from 'node:crypto';
import { decideAppend, type RecentId } from './decide-append.ts';
import { isDeleted, lastRevisionOf, type Expected, type NewEvent, type StoredEvent, type Stream } from './event.ts';
import { NO_JOURNAL, openJournal } from './journal.ts';

export type Appended =
  | { readonly kind: 'done'; readonly revision: number; readonly position: number | undefined }
  | { readonly kind: 'wrongRevision'; readonly actual: number }
  | { readonly kind: 'tombstoned' };

export interface EventStore {
  /** Every event in the order of the log. Only ever grows. */
  readonly all: readonly StoredEvent[];
  stream(name: string): Stream | undefined;
  append(name: string, expected: Expected, events: readonly NewEvent[]): Appended;
  /** The stream's revisions go on after it. */
  delete(name: string, expected: Expected): Appended;
  /** For ever. */
  tombstone(name: string, expected: Expected): Appended;
  /** The index in `all` of the first event that begins at the position or after it; undefined when none begins exactly there, though there is more behind. */
  indexAt(position: number): number | undefined;
  /** Resolves when there are more events than `length`, or the signal aborts. */
  longerThan(length: number, signal: AbortSignal): Promise<void>;
  recentIds(): number;
  /** What a restart does. */
  forgetRecentIds(): void;
}

/** What a record takes beside its data: only so that positions look like offsets. */
const RECORD_BYTES = 96;
const DELETED = '{"$tb":9223372036854775807}';

export function openEventStore(directory: string | undefined): EventStore {
  const { journal, events: kept } = directory === undefined ? { journal: NO_JOURNAL, events: [] } : openJournal(directory);
  const all: StoredEvent[] = [];
  const streams = new Map<string, Stream>();
  const recent = new Map<string, RecentId>();
  const waiting = new Set<() => void>();
  for (const event of kept) apply(event);
  // A real database begins with events of its own: nobody may take the first for a fact.
  if (all.length === 0) store('$users', ['admin', 'ops'].map((login) => newEvent('$UserCreated', JSON.stringify({ login }))));
  recent.clear();

  return {
    all,
    stream: (name) => streams.get(name),

    append(name, expected, events) {
      const stream = streamOf(name);
      if (events.length === 0) return { kind: 'done', revision: 0, position: undefined };
      const decision = decideAppend(stream, { expected, ids: events.map(({ id }) => id), recent: (id) => recent.get(id) });
      if (decision.kind === 'already') return doneAt(stream, decision.last);
      if (decision.kind !== 'store') return decision;
      if (isDeleted(stream)) store(`$$${name}`, [newEvent('$metadata', JSON.stringify({ $tb: lastRevisionOf(stream) + 1 }))]);
      store(name, events);
      return doneAt(stream, lastRevisionOf(stream));
    },

    delete: (name, expected) => change(name, expected, () => store(`$$${name}`, [newEvent('$metadata', DELETED)])),
    tombstone: (name, expected) => change(name, expected, () => store(name, [newEvent('$streamDeleted', '')])),

    indexAt(position) {
      let [from, to] = [0, all.length];
      while (from < to) {
        const middle = (from + to) >> 1;
        if ((all[middle]?.position ?? 0) < position) from = middle + 1;
        else to = middle;
      }
      return from === all.length || position === 0 || all[from]?.position === position ? from : undefined;
    },

    longerThan(length, signal) {
      if (all.length > length || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },

    recentIds: () => recent.size,
    forgetRecentIds: () => recent.clear(),
  };

  function streamOf(name: string): Stream {
    const known = streams.get(name) ?? { name, events: [], maxCount: Infinity, truncateBefore: 0, isTombstoned: false };
    streams.set(name, known);
    return known;
  }

  function change(name: string, expected: Expected, apply: () => void): Appended {
    const stream = streamOf(name);
    const decision = decideAppend(stream, { expected, ids: [randomUUID()], recent: () => undefined });
    if (decision.kind !== 'store') return decision as Appended;
    apply();
    return { kind: 'done', revision: lastRevisionOf(stream), position: all.at(-1)?.position };
  }

  function store(name: string, events: readonly NewEvent[]): void {
    const stream = streamOf(name);
    const stored: StoredEvent[] = [];
    for (const event of events) {
      const position = (stored.at(-1) ?? all.at(-1))?.end ?? 0;
      const end = position + RECORD_BYTES + event.data.length + event.metadata.length;
      stored.push({ ...event, position, end, stream: name, revision: stream.events.length + stored.length, createdMs: Date.now() });
    }
    journal.add(stored);
    for (const event of stored) apply(event);
    for (const wake of [...waiting]) wake();
  }

  function apply(event: StoredEvent): void {
    const stream = streamOf(event.stream);
    all.push(event);
    stream.events.push(event);
    recent.set(event.id, { stream: event.stream, revision: event.revision });
    if (event.type === '$streamDeleted') stream.isTombstoned = true;
    if (!event.stream.startsWith('$$')) return;
    const { $maxCount = Infinity, $tb = 0 } = JSON.parse(event.data.toString()) as { $maxCount?: number; $tb?: number };
    Object.assign(streamOf(event.stream.slice(2)), { maxCount: $maxCount, truncateBefore: $tb });
  }
}

function doneAt(stream: Stream, revision: number): Appended {
  return { kind: 'done', revision, position: stream.events[revision]?.position };
}

function newEvent(type: string, json: string): NewEvent {
  return { id: randomUUID(), type, contentType: 'application/json', data: Buffer.from(json), metadata: Buffer.alloc(0) };
}

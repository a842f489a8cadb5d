import { withDeadline } from '#shared/runtime/deadline.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { AuditEntries, CountedEntry } from './audit-entries.ts';

/** So long a note is in this process only; a kill loses as much. */
const WRITTEN_EVERY_MS = 1_000;
const RETRY_MS = 5_000;
/** Of one caller within a minute, each its own entry; what comes then is one entry with a count. */
const KINDS_OF_CALLER_MAX = 20;
/** Callers within a minute; those that come then are one entry for all. So a minute leaves 4,000 rows at most and not one for each request. */
const CALLERS_MAX = 200;
/** What waits for a database that is away: a quarter of an hour of the worst there can be in the ordinary, some 10 MB. */
const WAITING_MAX = 20_000;
const STOP_MS_MAX = 2_000;
const MINUTE_MS = 60_000;

export type Note = Omit<CountedEntry, 'at' | 'lastAt' | 'count'>;

export interface AuditNotes {
  /** At once, and never fails: nobody waits for it. */
  note(note: Note): void;
  /** Writes what waits, if the database is there. */
  stop(): Promise<void>;
}

export interface AuditNoteDeps {
  readonly entries: Pick<AuditEntries, 'count'>;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'auditNotes'>;
  now(): Date;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Beside the requests: counts what is the same within a minute, and writes it every second. What there is no room for is counted, and said by an entry of its own. */
export function createAuditNotes({ entries, logger, metrics, now, sleep }: AuditNoteDeps): AuditNotes {
  const waiting = new Map<string, CountedEntry>();
  const seen = createSeen();
  const stopping = new AbortController();
  let lost = 0;
  const running = writeAgainAndAgain();

  return {
    note(note) {
      const at = now();
      add({ ...seen.boundedOf(note, Math.floor(at.getTime() / MINUTE_MS)), at, lastAt: at, count: 1 });
    },
    async stop() {
      stopping.abort();
      await running;
      await withDeadline(write(), { ms: STOP_MS_MAX, dependency: 'database' }).catch((error: unknown) => logger.warn({ error, notes: waiting.size }, 'audit entries were not written before the end'));
    },
  };

  function add(entry: CountedEntry): void {
    const key = JSON.stringify([Math.floor(entry.at.getTime() / MINUTE_MS), keyOf(entry)]);
    const before = waiting.get(key);
    if (before === undefined && waiting.size >= WAITING_MAX) {
      lost += entry.count;
      metrics.auditNotes.inc({ outcome: 'lost' }, entry.count);
      return;
    }
    waiting.set(key, before === undefined ? entry : { ...before, count: before.count + entry.count, lastAt: entry.lastAt });
  }

  async function write(): Promise<void> {
    const told = lost;
    const batch = [...waiting.values(), ...(told === 0 ? [] : [lostOf(told, now())])];
    if (batch.length === 0) return;
    waiting.clear();
    try {
      await entries.count(batch);
    } catch (error) {
      for (const entry of batch) if (entry.act !== 'entries-lost') add(entry);
      throw error;
    }
    lost -= told;
    metrics.auditNotes.inc({ outcome: 'written' }, batch.reduce((sum, { count }) => sum + count, 0));
  }

  async function writeAgainAndAgain(): Promise<void> {
    for (let isWell = true; !stopping.signal.aborted;) {
      await sleep(isWell ? WRITTEN_EVERY_MS : RETRY_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      const failure = await write().then(() => undefined, (error: unknown) => ({ error }));
      // Once, and not every five seconds of an outage.
      if (failure !== undefined && isWell) logger.warn({ error: failure.error, notes: waiting.size }, 'audit entries wait for the database');
      isWell = failure === undefined;
    }
  }
}

const keyOf = ({ actor, act, target, route, code, address }: Note) => JSON.stringify([actor.kind, actor.id, address, act, target, route, code]);
const callerOf = ({ actor, address }: Note) => JSON.stringify([actor.kind, actor.id, address]);

/** Entries that say how many, and no longer what: of one caller, and of all. */
const ofCaller = ({ actor, address, act }: Note): Note => ({ actor, address, act, target: null, route: null, code: null });
const ofAll = ({ act }: Note): Note => ({ actor: { kind: 'nobody', id: null }, address: null, act, target: null, route: null, code: 'many-callers' });
const lostOf = (count: number, at: Date): CountedEntry => ({ actor: { kind: 'engine', id: null }, address: null, act: 'entries-lost', target: null, route: null, code: null, count, at, lastAt: at });

/** What was seen of this minute. */
function createSeen() {
  let minute = -1;
  const callers = new Map<string, Set<string>>();
  return {
    boundedOf(note: Note, now: number): Note {
      if (now !== minute) callers.clear();
      minute = now;
      const caller = callerOf(note);
      const kinds = callers.get(caller);
      if (kinds === undefined) {
        if (callers.size >= CALLERS_MAX) return ofAll(note);
        callers.set(caller, new Set([keyOf(note)]));
        return note;
      }
      if (kinds.has(keyOf(note))) return note;
      if (kinds.size >= KINDS_OF_CALLER_MAX) return ofCaller(note);
      kinds.add(keyOf(note));
      return note;
    },
  };
}

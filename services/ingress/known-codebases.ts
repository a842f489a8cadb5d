import type { CodebaseId } from '#schemas/brand.ts';
import { codebaseStream } from '#schemas/ids.ts';
import { applyToCodebase, type Standing } from '#shared/lifecycles/codebase-state.ts';
import { readState } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';

export interface KnownCodebase {
  readonly standing: Standing | 'unregistered' | 'unknown';
  /** GitLab said that its webhook has a signing token. Undefined: nobody can know now. */
  readonly isSigned: boolean | undefined;
}

export interface KnownCodebases {
  of(codebase: CodebaseId): Promise<KnownCodebase>;
  /** The same, looked up anew unless that was done a moment ago: for a delivery that would be refused by what is known. */
  afresh(codebase: CodebaseId): Promise<KnownCodebase>;
  /** The same, with time: for what was let in already, and must be known before it is written down. */
  patiently(codebase: CodebaseId): Promise<KnownCodebase>;
  /** Something was decided about it here. */
  forget(codebase: CodebaseId): void;
}

/** A silent log must not hold a delivery: it is taken all the same. */
const ANSWER_MS_MAX = 500;
/** A log that answers slowly must not hold the spool; whoever asks so has a deadline of its own. */
const PATIENT_MS_MAX = 5_000;
/** What was removed by way of another ingress is taken for active this long: then the fetcher skips its pushes. */
const FRESH_MS = 10_000;
/** Whoever sends what would be refused costs a look this often; the scheduler, who tries a webhook a second after it told of it, finds it known. */
const AFRESH_MS = 500;
/** At 100 bytes each, 10 MB; beyond it each delivery costs a look. */
const ENTRIES_MAX = 100_000;

/** A yes is remembered for a while; a no is asked anew each time: a push to what was restored just now must not be passed over. */
export function createKnownCodebases({ log, now }: { readonly log: Pick<EventLog, 'readStream'>; now(): Date }): KnownCodebases {
  const active = new Map<CodebaseId, { readonly at: number; readonly isSigned: boolean }>();

  return {
    of: (codebase) => look(codebase, { freshMs: FRESH_MS, ms: ANSWER_MS_MAX }),
    afresh: (codebase) => look(codebase, { freshMs: AFRESH_MS, ms: ANSWER_MS_MAX }),
    patiently: (codebase) => look(codebase, { freshMs: AFRESH_MS, ms: PATIENT_MS_MAX }),
    forget: (codebase) => void active.delete(codebase),
  };

  async function look(codebase: CodebaseId, { freshMs, ms }: { readonly freshMs: number; readonly ms: number }): Promise<KnownCodebase> {
    const known = active.get(codebase);
    if (known !== undefined && Math.abs(now().getTime() - known.at) < freshMs) return { standing: 'active', isSigned: known.isSigned };
    try {
      const state = await withDeadline(readState(log, codebaseStream(codebase), applyToCodebase), { ms, dependency: 'event log' });
      const isSigned = state?.hook?.isSigned === true;
      if (state?.standing !== 'active') active.delete(codebase);
      else if (active.size < ENTRIES_MAX || known !== undefined) active.set(codebase, { at: now().getTime(), isSigned });
      return { standing: state?.standing ?? 'unregistered', isSigned };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // It was, and while nobody can know better it is.
      return known === undefined ? { standing: 'unknown', isSigned: undefined } : { standing: 'active', isSigned: known.isSigned };
    }
  }
}

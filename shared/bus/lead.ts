import { setMaxListeners } from 'node:events';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Lease, LeaseStore } from './group-store.ts';

/** A stopped process is taken over from after this. One that died, at once: its connection is gone. */
export const LEASE_MS = 10_000;
/** Three may fail in a row before it runs out. */
const RENEWALS_A_LEASE = 4;
/** How late a standby sees that nobody holds it. */
const LOOK_EVERY_MS = 500;

/** As its holder has it. */
export interface Held {
  readonly lease: Lease;
  /** Aborts when the work is to stop, or when another has taken over. */
  readonly signal: AbortSignal;
  /** By our own clock: false after we were stopped, or the store away, for as long as it lasts. Then nothing new is begun until it is renewed. */
  isSure(): boolean;
  /** Somebody saw that another has it. */
  lose(): void;
}

export interface LeadDeps {
  readonly store: LeaseStore;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Lead {
  readonly name: string;
  /** How long a stopped holder keeps it; by default LEASE_MS. */
  readonly leaseMs?: number;
  /** Resolves once all that it began has ended. */
  work(held: Held): Promise<void>;
}

/** Works under a name while no other process does, and stands by while one does, until told to stop. */
export async function lead(deps: LeadDeps, { name, leaseMs = LEASE_MS, work }: Lead, signal: AbortSignal): Promise<void> {
  let isAway = false;
  while (!signal.aborted) {
    const askedAt = performance.now();
    const lease = await deps.store.takeLease(name, leaseMs).then((taken) => { isAway = false; return taken; }, (error: unknown) => {
      // Once an outage, and not at every look.
      if (!isAway) deps.logger.warn({ error, lease: name }, 'the bus waits for its store');
      isAway = true;
      return undefined;
    });
    if (lease === undefined) await deps.sleep(LOOK_EVERY_MS, signal);
    // Told to stop while we asked: nothing is begun.
    else if (signal.aborted) await deps.store.endLease(lease).catch(() => undefined);
    else await serve(deps, { lease, leaseMs, askedAt, work }, signal);
  }
}

interface Term { readonly lease: Lease; readonly leaseMs: number; readonly askedAt: number; readonly work: Lead['work'] }

/** One term, from the lease to its end. */
async function serve({ store, logger, sleep }: LeadDeps, { lease, leaseMs, askedAt, work }: Term, signal: AbortSignal): Promise<void> {
  const lost = new AbortController();
  const ended = new AbortController();
  let sureAt = askedAt;
  const lose = () => {
    if (!lost.signal.aborted) logger.warn({ lease: lease.name, term: lease.term }, 'the work is left to whoever has it now');
    lost.abort();
  };

  // Also while what is in hand ends after we were told to stop: nobody need do it a second time beside us.
  const renewing = (async () => {
    for (;;) {
      const sleptFrom = performance.now();
      await sleep(leaseMs / RENEWALS_A_LEASE, ended.signal);
      if (ended.signal.aborted || lost.signal.aborted) return;
      const from = performance.now();
      // We were stopped. Asking whether another has it would take a moment, in which what is in hand would go on.
      if (from - sleptFrom > leaseMs) return lose();
      const isOurs = await store.renewLease(lease, leaseMs).catch(() => undefined);
      if (isOurs === true) sureAt = from;
      if (isOurs === false) lose();
    }
  })();
  const ending = AbortSignal.any([signal, lost.signal]);
  // Every key that waits listens to it, and there may be thousands: Node would call more than ten a leak.
  setMaxListeners(0, ending);
  try {
    await work({ lease, signal: ending, isSure: () => performance.now() - sureAt < leaseMs, lose });
  } finally {
    ended.abort();
    await renewing;
    // Not given back, it runs out. Where another has it, this changes nothing.
    await store.endLease(lease).catch(() => undefined);
  }
}

import type { HttpDoor } from '#shared/runtime/http-door.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { addFirstAdmin } from './accounts.ts';
import { careForGrants } from './care-for-grants.ts';
import { sweepSignIns } from './gitlab-sign-in.ts';
import { sweepGuesses } from './guesses.ts';
import { turnKeys } from './keys.ts';
import { createPasswords } from './passwords.ts';
import { recordBindings } from './record-bindings.ts';
import { sweepAudit } from './recording.ts';
import { identityRoutes, type RouteDeps } from './routes.ts';
import { sweepSessions } from './sign-in.ts';

export interface IdentityDeps extends Omit<RouteDeps, 'passwords' | 'recorded'> {
  readonly door: Pick<HttpDoor, 'use'>;
  /** To who starts the engine, and nowhere else: it holds a secret. */
  announce(text: string): void;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Keys are turned within it; what is over is forgotten. */
const CARE_EVERY_MS = 3_600_000;
const CARE_RETRY_MS = 10_000;

/** People, what they sign in with, and what they are given for it. */
export async function start(given: IdentityDeps): Promise<RunningService> {
  const deps = { ...given, passwords: createPasswords(), recorded: onceDone(() => recordBindings(given)) };
  const stopping = new AbortController();
  await turnKeys(deps);
  const first = await addFirstAdmin(deps);
  if (first !== undefined) deps.announce(`The first user: ${first.name}, one-time password ${first.password}\n(shown this once; "tekai login ${first.name}" asks for it and has you choose another)`);
  deps.door.use(identityRoutes(deps));
  const caring = care(deps, stopping.signal);
  const recording = untilRecorded(deps, stopping.signal);
  const granting = careForGrants(deps, stopping.signal);
  return { name: 'identity', stop: async () => { stopping.abort(); await Promise.all([caring, recording, granting]); } };
}

/** Of those who wait together, one does it; after a failure the next who asks tries again. */
function onceDone(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => done ??= work().catch((error: unknown) => { done = undefined; throw error; });
}

/** Signing in does not wait for the log; only who says who is who does. */
async function untilRecorded({ recorded, sleep, logger }: RouteDeps & Pick<IdentityDeps, 'sleep'>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isDone = await recorded().then(() => true, (error: unknown) => { logger.warn({ error }, 'who is who in GitLab waits to be recorded'); return false; });
    if (isDone) return;
    await sleep(CARE_RETRY_MS, signal);
  }
}

async function care(deps: IdentityDeps, signal: AbortSignal): Promise<void> {
  await deps.sleep(CARE_EVERY_MS, signal);
  while (!signal.aborted) {
    const isDone = await Promise.all([turnKeys(deps), sweepGuesses(deps), sweepSessions(deps), sweepAudit(deps), sweepSignIns(deps)])
      .then(() => true, (error: unknown) => { deps.logger.warn({ error }, 'the care of keys, sign-ins and audit entries waits'); return false; });
    await deps.sleep(isDone ? CARE_EVERY_MS : CARE_RETRY_MS, signal);
  }
}

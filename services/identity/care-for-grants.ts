import type { SourceId } from '#schemas/brand.ts';
import type { SignInProvider } from '#shared/identity/sign-in-provider.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { forgetGrantsAt, sweepGrants } from './grants.ts';
import { isActive, signInBy, type SettingsDeps } from './sign-in-settings.ts';
import { turnGrants } from './turn-grants.ts';

export interface GrantCareDeps extends SettingsDeps {
  readonly signInProvider: Pick<SignInProvider, 'turn'>;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Somebody who comes back after a day may be asked by their own token within it. */
const TURN_EVERY_MS = 10_000;
/** What may not be used any more is not used, at once; it is forgotten, where nothing did so by itself, within a minute. */
const TURNS_A_SWEEP = 6;

/** Keeps what people let us see of theirs in a GitLab good while they are active, and forgets it when it is over. Until told to stop. */
export async function careForGrants(deps: GrantCareDeps, signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round += 1) {
    try {
      await turnGrants({ ...deps, clientOf: (source) => clientOf(deps, source) });
      if (round % TURNS_A_SWEEP === 0) await sweep(deps);
    } catch (error) {
      deps.logger.warn({ error }, 'the care of people\'s own access waits');
    }
    await deps.sleep(TURN_EVERY_MS, signal);
  }
}

async function sweep(deps: GrantCareDeps): Promise<void> {
  await sweepGrants(deps);
  for (const { source } of await deps.query<{ source: SourceId }>('select distinct source_id as source from identity_grants')) {
    if (!(await isActive(deps, source))) await forgetGrantsAt(deps, source);
  }
}

/** Undefined: nobody signs in there any more. */
async function clientOf(deps: GrantCareDeps, source: SourceId) {
  try {
    return (await signInBy(deps, source)).client;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

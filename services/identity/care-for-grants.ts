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

/** Somebody who comes back after a day may be asked by their own token within it; what may not be used any more is forgotten, where nothing did so by itself. */
const EVERY_MS = 10_000;

/** Keeps what people let us see of theirs in a GitLab good while they are active, and forgets it when it is over. Until told to stop. */
export async function careForGrants(deps: GrantCareDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // First, and each by itself: what is over is not kept because a next token could not be got.
    for (const part of [() => sweep(deps), () => turnGrants({ ...deps, clientOf: (source) => clientOf(deps, source) })]) {
      try {
        await part();
      } catch (error) {
        deps.logger.warn({ error }, 'the care of people\'s own access waits');
      }
    }
    await deps.sleep(EVERY_MS, signal);
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

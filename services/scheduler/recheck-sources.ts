import type { Logger } from '#shared/runtime/logger.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { checkSource, type CheckSourceDeps } from '#shared/sources/check-source.ts';
import type { SourceChecks } from '#shared/sources/source-checks.ts';
import type { SourceDirectory } from '#shared/sources/source-directory.ts';

export interface RecheckDeps extends CheckSourceDeps {
  readonly sources: Pick<SourceDirectory, 'access'>;
  readonly checks: Pick<SourceChecks, 'keep' | 'claimDue'>;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Checks are due by the hour and the day: a minute late is in time. */
const LOOK_EVERY_MS = 60_000;

/** Asks each source daily whether its token still lives and when it ends; hourly one that was refused or away. Until the signal aborts. */
export async function recheckSources(deps: RecheckDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isOneDone = await recheckOne(deps, signal).catch((error: unknown) => {
      if (!(error instanceof Unavailable)) deps.logger.error({ error }, 'a source could not be checked');
      return false;
    });
    if (!isOneDone) await deps.sleep(LOOK_EVERY_MS, signal);
  }
}

/** False when none is due. @throws Unavailable when the database is away; the claim runs out, and the source is due again. */
async function recheckOne(deps: RecheckDeps, signal: AbortSignal): Promise<boolean> {
  const source = await deps.checks.claimDue(deps.now());
  if (source === undefined) return false;
  const access = await deps.sources.access(source);
  if (access === undefined) return true;
  const check = await checkSource(deps, access);
  if (signal.aborted) return true;
  await deps.checks.keep(source, { check, token: access.token, at: deps.now() });
  // The words of GitLab may name people: codes are enough to look further.
  if (check.state !== 'ok') deps.logger.warn({ source, state: check.state, advice: check.advice.map(({ code }) => code) }, 'a source is not as it should be');
  return true;
}

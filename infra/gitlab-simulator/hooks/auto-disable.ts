import type { Hook } from '../state/records.ts';
import { isVersionAtLeast, type Settings } from '../state/settings.ts';

/** The fourth failure in a row disables for a minute, the fortieth for good. */
const FAILURES_BEFORE_BACKOFF = 3;
const FAILURES_BEFORE_END = 39;
const BACKOFF_MS_MIN = 60_000;
const BACKOFF_MS_MAX = 24 * 3_600_000;

export type AlertStatus = 'executable' | 'temporarily_disabled' | 'disabled';

/** System hooks are never disabled. */
export function alertStatusOf(hook: Hook, settings: Settings, now: Date): AlertStatus {
  if (!settings.isAutoDisableOn || hook.owner === 'system') return 'executable';
  if (hook.failures > FAILURES_BEFORE_END) return 'disabled';
  return hook.disabledUntil !== null && now < new Date(hook.disabledUntil) ? 'temporarily_disabled' : 'executable';
}

/** The hook as it is after an attempt: any success clears it, a failure counts. */
export function afterAttempt(hook: Hook, attempt: { isSuccess: boolean; status: number | null }, about: { settings: Settings; now: Date }): Hook {
  const { settings, now } = about;
  if (attempt.isSuccess) return { ...hook, failures: 0, backoffs: 0, disabledUntil: null };
  const failures = hook.failures + 1;
  if (failures <= FAILURES_BEFORE_BACKOFF) return { ...hook, failures };
  // Before 17.11 four answers of 4xx ended a hook; only 5xx made it wait.
  const isClientError = attempt.status !== null && attempt.status >= 400 && attempt.status < 500;
  if (isClientError && !isVersionAtLeast(settings, 17, 11)) return { ...hook, failures: FAILURES_BEFORE_END + 1, disabledUntil: null };
  if (failures > FAILURES_BEFORE_END) return { ...hook, failures, disabledUntil: null };
  const waitMs = Math.min(BACKOFF_MS_MIN * 2 ** hook.backoffs, BACKOFF_MS_MAX);
  return { ...hook, failures, backoffs: hook.backoffs + 1, disabledUntil: new Date(now.getTime() + waitMs).toISOString() };
}

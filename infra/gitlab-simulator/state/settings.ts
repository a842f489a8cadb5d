import type { Row } from './journal.ts';

/** What an administrator of a real instance could set, and what a test sets here. */
export interface Settings extends Row {
  version: string;
  /** The User-Agent and X-Gitlab-Instance show it, and every URL in an answer begins with it. Null: the address listened on. */
  externalUrl: string | null;
  /** Null: no throttle and no RateLimit headers, the default of a self-managed instance. */
  rateLimitPerMinute: number | null;
  /** Limits of single endpoints by GitLab's names (application_rate_limiter.rb), a minute each; answered without headers. */
  applicationLimits: Record<string, number>;
  hookTimeoutMs: number;
  hookBodyBytesMax: number;
  isAutoDisableOn: boolean;
  pushEventHooksLimit: number;
  isDeletionDelayed: boolean;
  compareFilesMax: number;
}

export const SETTINGS_AT_FIRST: Settings = {
  id: 1,
  version: '19.1.0-ee',
  externalUrl: null,
  rateLimitPerMinute: null,
  applicationLimits: { web_hook_test: 5, web_hook_event_resend: 5 },
  hookTimeoutMs: 10_000,
  hookBodyBytesMax: 25 * 1024 * 1024,
  isAutoDisableOn: true,
  pushEventHooksLimit: 3,
  isDeletionDelayed: true,
  compareFilesMax: 1_000,
};

/** True if the instance claims at least this version; what GitLab learnt later must be absent from an older one. */
export function isVersionAtLeast(settings: Settings, major: number, minor = 0): boolean {
  const [ownMajor = 0, ownMinor = 0] = settings.version.split('.').map((part) => Number.parseInt(part, 10));
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

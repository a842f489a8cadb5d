import type { Settings } from '../state/settings.ts';
import type { Headers } from './answer.ts';

/** What a call may do, and what the answer's headers say about it. */
export type Allowance = { isAllowed: boolean; headers: Headers };

export interface Throttle {
  /** The instance's throttle per token and minute, with informational headers. */
  take(settings: Settings, key: string): Allowance;
  /** A limit of one endpoint; such refusals carry no informational headers. */
  isWithin(limit: string, key: string, perMinute: number | undefined): boolean;
}

const WINDOW_MS = 60_000;

export function createThrottle(now: () => Date): Throttle {
  let windows = new Map<string, number>();
  let windowOf = 0;
  const count = (key: string): { observed: number; resetAtMs: number } => {
    const window = Math.floor(now().getTime() / WINDOW_MS);
    if (window !== windowOf) {
      windows = new Map();
      windowOf = window;
    }
    const observed = (windows.get(key) ?? 0) + 1;
    windows.set(key, observed);
    return { observed, resetAtMs: (window + 1) * WINDOW_MS };
  };
  return {
    take: (settings, key) => {
      const limit = settings.rateLimitPerMinute;
      if (limit === null) return { isAllowed: true, headers: {} };
      const { observed, resetAtMs } = count(`all ${key}`);
      const headers: Headers = {
        'RateLimit-Limit': limit,
        'RateLimit-Observed': observed,
        'RateLimit-Remaining': Math.max(0, limit - observed),
        'RateLimit-Reset': resetAtMs / 1_000,
        'RateLimit-Name': 'throttle_authenticated_api',
      };
      if (observed <= limit) return { isAllowed: true, headers };
      const waitSeconds = Math.max(1, Math.ceil((resetAtMs - now().getTime()) / 1_000));
      return { isAllowed: false, headers: { ...headers, 'Retry-After': waitSeconds, 'RateLimit-ResetTime': new Date(resetAtMs).toUTCString() } };
    },
    isWithin: (limit, key, perMinute) => perMinute === undefined || perMinute === 0 || count(`${limit} ${key}`).observed <= perMinute,
  };
}

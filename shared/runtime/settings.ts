import path from 'node:path';

export interface Settings {
  readonly stateDir: string;
  readonly port: number;
  readonly internalPort: number;
  /** Where GitLab and people reach us. */
  readonly publicUrl: string;
  /** Undefined: the engine runs a Postgres of its own in the state folder. */
  readonly databaseUrl: string | undefined;
  readonly logLevel: LogLevel;
  readonly polling: PollingSettings;
  /** Of one token, below /v1. */
  readonly apiRequestsPerMinute: number;
}

/** How GitLab is looked at, where hooks are missing or lost. */
export interface PollingSettings {
  /** Sent by the scheduler to one source: looks at refs, and after webhooks. */
  readonly requestsPerMinute: number;
  readonly activeSeconds: number;
  readonly idleSeconds: number;
  readonly hookCheckSeconds: number;
  readonly hookRetrySeconds: number;
}

/** 2,000 a second: what goes beyond is a loop gone wild, not a reader. */
const REQUESTS_PER_MINUTE_DEFAULT = 120_000;
const REQUESTS_PER_MINUTE_MAX = 100_000_000;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export interface WrongSetting { readonly variable: string; readonly got: string; readonly wanted: string; readonly example: string }

/** Every wrong value at once: whoever starts the engine mends them in one go. */
export class WrongSettings extends Error {
  override readonly name = 'WrongSettings';
  readonly wrong: readonly WrongSetting[];
  constructor(wrong: readonly WrongSetting[]) {
    super(['The configuration cannot be used:',
      ...wrong.map((w) => `  ${w.variable}=${w.got}\n    wanted: ${w.wanted}\n    for example: ${w.variable}=${w.example}`)].join('\n'));
    this.wrong = wrong;
  }
}

const KNOWN = ['TEKAI_STATE_DIR', 'TEKAI_PORT', 'TEKAI_INTERNAL_PORT', 'TEKAI_PUBLIC_URL', 'TEKAI_DATABASE_URL', 'TEKAI_LOG_LEVEL', 'TEKAI_API_REQUESTS_PER_MINUTE',
  'TEKAI_GITLAB_REQUESTS_PER_MINUTE', 'TEKAI_POLL_ACTIVE_SECONDS', 'TEKAI_POLL_IDLE_SECONDS', 'TEKAI_HOOK_CHECK_SECONDS', 'TEKAI_HOOK_RETRY_SECONDS', 'TEKAI_URL', 'TEKAI_TOKEN', 'TEKAI_GITLAB_TOKEN', 'TEKAI_COMMIT'];

/**
 * Reads the settings from the environment. Empty means not set.
 * @throws WrongSettings with every wrong value.
 */
export function parseSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const wrong: WrongSetting[] = [];
  const text = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name]);
  const refuse = (variable: string, wanted: string, example: string, got = hideCredentials(env[variable] ?? '')) => {
    wrong.push({ variable, got, wanted, example });
    return undefined;
  };

  const portOf = (name: string, fallback: number) => {
    const given = text(name);
    if (given === undefined) return fallback;
    if (/^\d{1,5}$/.test(given) && Number(given) <= 65_535) return Number(given);
    refuse(name, 'a port, 0 to 65535 (0 takes a free one)', String(fallback));
    return fallback;
  };
  const urlOf = (name: string, protocols: readonly string[], example: string) => {
    const given = text(name);
    if (given === undefined) return undefined;
    return URL.canParse(given) && protocols.includes(new URL(given).protocol) ? given : refuse(name, `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`, example);
  };

  const wholeOf = (name: string, { fallback, most }: { fallback: number; most: number }) => {
    const given = text(name);
    if (given === undefined) return fallback;
    if (/^\d{1,9}$/.test(given) && Number(given) >= 1 && Number(given) <= most) return Number(given);
    refuse(name, `a whole number from 1 to ${most}`, String(fallback));
    return fallback;
  };

  const port = portOf('TEKAI_PORT', 8080);
  const internalPort = portOf('TEKAI_INTERNAL_PORT', 8081);
  if (port === internalPort && port !== 0) refuse('TEKAI_INTERNAL_PORT', 'another port than TEKAI_PORT: health details and metrics are not for the public door', String(port + 1));
  const publicUrl = urlOf('TEKAI_PUBLIC_URL', ['http:', 'https:'], 'https://tekai.example.com');
  const databaseUrl = urlOf('TEKAI_DATABASE_URL', ['postgres:', 'postgresql:'], 'postgres://tekai:secret@db.example.com:5432/tekai');
  const logLevel = LOG_LEVELS.find((level) => level === (text('TEKAI_LOG_LEVEL') ?? 'info'))
    ?? (refuse('TEKAI_LOG_LEVEL', `one of ${LOG_LEVELS.join(', ')}`, 'info') ?? 'info');
  const polling = {
    requestsPerMinute: wholeOf('TEKAI_GITLAB_REQUESTS_PER_MINUTE', { fallback: 300, most: 100_000 }),
    activeSeconds: wholeOf('TEKAI_POLL_ACTIVE_SECONDS', { fallback: 60, most: 86_400 }),
    idleSeconds: wholeOf('TEKAI_POLL_IDLE_SECONDS', { fallback: 900, most: 86_400 }),
    hookCheckSeconds: wholeOf('TEKAI_HOOK_CHECK_SECONDS', { fallback: 900, most: 86_400 }),
    hookRetrySeconds: wholeOf('TEKAI_HOOK_RETRY_SECONDS', { fallback: 3_600, most: 86_400 }),
  };
  const apiRequestsPerMinute = wholeOf('TEKAI_API_REQUESTS_PER_MINUTE', { fallback: REQUESTS_PER_MINUTE_DEFAULT, most: REQUESTS_PER_MINUTE_MAX });
  // Its value is not shown: a mistyped name may be that of a secret.
  for (const name of Object.keys(env)) {
    if (name.startsWith('TEKAI_') && !KNOWN.includes(name) && !name.startsWith('TEKAI_TEST_')) refuse(name, `a variable that exists: ${KNOWN.join(', ')}`, '', '***');
  }
  if (wrong.length > 0) throw new WrongSettings(wrong);
  return { stateDir: path.resolve(text('TEKAI_STATE_DIR') ?? '.tekai'), port, internalPort, publicUrl: (publicUrl ?? `http://127.0.0.1:${port}`).replace(/\/+$/, ''), databaseUrl, logLevel, polling, apiRequestsPerMinute };
}

/** `postgres://user:secret@host` → `postgres://user:***@host`, also in what is no URL, and with an `@` in the password. */
export function hideCredentials(text: string): string {
  return text.replace(/(:\/\/[^:/@\s]*):\S*@/g, '$1:***@').replace(/([?&](?:ssl)?password=)[^&\s]*/gi, '$1***');
}

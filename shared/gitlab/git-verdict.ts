import type { GitEnd } from './git-command.ts';

/** What a fetch that failed means. */
export type GitVerdict =
  /** The server does not have an id that was asked for. */
  | { readonly kind: 'unknownId' }
  | { readonly kind: 'refused'; readonly status: 401 | 403 }
  | { readonly kind: 'absent' }
  /** GitLab, the network or this machine: the same request may do later. */
  | { readonly kind: 'away'; readonly reason: string; readonly retryAfterMs?: number }
  /** RLIMIT_FSIZE was reached. */
  | { readonly kind: 'tooLarge' }
  /** Something asked for did not come, though the server said nothing. */
  | { readonly kind: 'incomplete' }
  /** No known reason: the cache may be at fault. */
  | { readonly kind: 'odd' };

/** After "due to load" and 429, of which git passes on no Retry-After (gitlab.md 7.7). */
const LOAD_RETRY_MS = 30_000;

/**
 * Before a request is answered git says "unable to access" and libcurl's words, afterwards "curl 56" and the like: names,
 * connections, TLS, cut, slow. None of them is the cache's fault.
 */
const CONNECTION = /unable to access|curl \d+ |Operation too slow|Connection (?:refused|reset|timed out)/i;
const CUT = /early EOF|hung up unexpectedly|unexpected disconnect|RPC failed|bad band|protocol error|expected (?:flush|packfile|acknowledgments|shallow)|pack has bad object|inflate|invalid server response|transfer closed|bad line length|unexpected (?:end|EOF)/i;
/** A page of HTML with 200 makes git fall back to its dumb protocol (gitlab.md 7.2). */
const NO_GIT_SERVER = /info\/refs not valid|is this a git repository|dumb http transport/i;

/** The order matters: a message can hold several of these, the decisive one first. */
export function verdictOf(end: GitEnd): GitVerdict {
  const { stderr } = end;
  if (end.isOverDeadline) return { kind: 'away', reason: 'the fetch passed its deadline' };
  if (end.code === 127) return { kind: 'away', reason: 'git could not be started; is it installed, and on the search path?' };
  if (/File too large|SIGXFSZ|signal 25/.test(stderr) || end.killedBy === 'SIGXFSZ') return { kind: 'tooLarge' };
  if (/No space left on device|Disk quota exceeded|Read-only file system/.test(stderr)) return { kind: 'away', reason: 'the disk of the git caches is full or read-only' };
  if (end.killedBy !== null) return { kind: 'away', reason: `git was killed by ${end.killedBy}` };

  if (/not our ref|couldn't find remote ref|no such remote ref/i.test(stderr)) return { kind: 'unknownId' };
  if (/terminal prompts disabled|could not read (?:Username|Password)|Authentication failed|returned error: 401/i.test(stderr)) return { kind: 'refused', status: 401 };
  if (/returned error: 403/.test(stderr)) return { kind: 'refused', status: 403 };
  if (/due to load/i.test(stderr)) return { kind: 'away', reason: 'GitLab is under load', retryAfterMs: LOAD_RETRY_MS };

  const status = /returned error: (\d{3})/.exec(stderr)?.[1];
  if (status === '404' || status === '410' || /repository '.*' not found/i.test(stderr)) return { kind: 'absent' };
  if (status === '429') return { kind: 'away', reason: 'GitLab answered 429', retryAfterMs: LOAD_RETRY_MS };
  if (status?.startsWith('3')) return { kind: 'away', reason: `GitLab redirects git (${status}), and the credential does not go along; register the source under the address it redirects to` };
  if (status !== undefined) return { kind: 'away', reason: `GitLab answered ${status}` };
  if (NO_GIT_SERVER.test(stderr)) return { kind: 'away', reason: 'something that is no git server answered; is there a login page or a proxy before GitLab?' };
  if (CONNECTION.test(stderr)) return { kind: 'away', reason: 'the connection failed' };
  if (CUT.test(stderr)) return { kind: 'away', reason: 'the answer was cut' };
  if (/did not send all necessary objects/.test(stderr)) return { kind: 'incomplete' };
  return { kind: 'odd' };
}

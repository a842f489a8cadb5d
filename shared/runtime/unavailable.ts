/**
 * Something we depend on is away: the database, the disk, GitLab. Not a fault of the fact in hand: whoever works on
 * one waits and tries again, for as long as it takes, and parks nothing (invariant I3).
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
  /** What is away, in the operator's words: `database`, `blob store`, `gitlab https://…`. */
  readonly dependency: string;
  /** When the other side said how long to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(dependency: string, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(`${dependency}: ${message}`, { cause: options.cause });
    this.dependency = dependency;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The same error, with what somebody could do about it. Others are left as they are. */
export function advised(error: unknown, todo: string): unknown {
  if (!(error instanceof Unavailable)) return error;
  return new Unavailable(error.dependency, `${error.message.slice(error.dependency.length + 2)}: ${todo}`, { cause: error.cause });
}

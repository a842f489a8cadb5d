import type { ProblemAnswer } from '#schemas/api/problem.ts';

/** The engine understood and said no. `code` is for programs; the message is the detail, for people. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: NonNullable<ProblemAnswer['errors']>;
  /** Under this id the engine's log has the request. */
  readonly requestId: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(problem: Pick<ProblemAnswer, 'status' | 'code' | 'detail'> & Partial<ProblemAnswer>, retryAfterS?: number) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
    this.requestId = problem.instance;
    this.retryAfterS = retryAfterS;
  }
}

/** Nobody answered at all. */
export class EngineUnreachable extends Error {
  override readonly name = 'EngineUnreachable';
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super(`Nothing answers at ${url} (${reasonOf(cause)}). Is the engine up? Start it with "tekai up", or say where it is with --url or TEKAI_URL.`, { cause });
    this.url = url;
  }
}

/** Somebody answered, but not as the engine of our version does. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

/** fetch says "fetch failed" and hides why in its cause; a host with several addresses hides it one level deeper. */
export function reasonOf(error: unknown): string {
  // By shape: the errors of fetch may come from another realm, where instanceof says no.
  const { message, code, cause, errors } = (error ?? {}) as { message?: unknown; code?: unknown; cause?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return reasonOf(errors[0]);
  if (typeof message !== 'string') return String(error);
  if (typeof (cause as { message?: unknown } | undefined)?.message === 'string') return reasonOf(cause);
  switch (code) {
    case 'ECONNREFUSED': return 'connection refused';
    case 'ENOTFOUND': return 'there is no such host';
    case 'ECONNRESET': return 'the connection was cut';
    default: return message;
  }
}

import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import type { Logger } from './logger.ts';
import { Unavailable } from './unavailable.ts';

/** What a caller is told when a request cannot be served (RFC 9457). Thrown by handlers, written by `problemHandler`. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
  readonly retryAfterS: number | undefined;
  /** Whom it concerns, by id: for the audit entry, and told to nobody who asks. */
  readonly about: string | undefined;

  /** @param code stable, for programs; `detail` says what was tried, what was wrong, and what to do, for people. */
  constructor(status: number, code: string, detail: string, more: { errors?: Problem['errors']; retryAfterS?: number; about?: string | undefined } = {}) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.errors = more.errors ?? [];
    this.retryAfterS = more.retryAfterS;
    this.about = more.about;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request', 401: 'Not authenticated', 403: 'Not allowed', 404: 'Not found', 405: 'Method not allowed', 408: 'Request took too long', 409: 'Conflict', 410: 'Gone', 412: 'Changed meanwhile', 413: 'Too large',
  415: 'Unsupported media type', 416: 'Range not satisfiable', 422: 'Cannot be done', 428: 'Which state is meant is not said', 429: 'Too many requests', 500: 'Our fault', 503: 'Not now',
};

/** The problem that this request was answered with. */
export const toldProblem = (response: Response) => response.locals['problem'] as Problem | undefined;

/** By who writes the answer in another form. */
export const notedProblem = (response: Response, problem: Problem) => void (response.locals['problem'] = problem);

export function sendProblem(response: Response, problem: Problem): void {
  notedProblem(response, problem);
  if (problem.retryAfterS !== undefined) response.setHeader('Retry-After', String(problem.retryAfterS));
  if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  response.status(problem.status).type('application/problem+json').send(JSON.stringify({
    type: `https://docs.tekai.dev/problems/${problem.code}`,
    title: TITLES[problem.status] ?? 'Problem',
    status: problem.status,
    code: problem.code,
    detail: problem.detail,
    instance: response.getHeader('X-Request-Id'),
    ...(problem.errors.length === 0 ? {} : { errors: problem.errors }),
  }));
}

/** Nobody serves this address. */
export const notFoundHandler: RequestHandler = (request) => {
  throw new Problem(404, 'no-such-address', `There is nothing at ${request.method} ${request.path}. GET / lists what there is.`);
};

/** The last handler of the door: whatever was thrown becomes one answer, and one log line when it is our fault. What is away, or stops, is no error: whoever asked waits. */
export function problemHandler(logger: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) { next(error); return; }
    const problem = problemOf(error);
    if (problem.status >= 500) logger[error instanceof Unavailable ? 'warn' : 'error']({ error, method: request.method, path: request.path, requestId: response.getHeader('X-Request-Id') }, 'a request failed');
    sendProblem(response, problem);
  };
}

/** Postgres's name for it: there is no NUL in its texts. Only what a request brought can hold one. */
const NOT_TEXT = '22021';

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Unavailable) {
    const retryAfterS = Math.max(1, Math.ceil((error.retryAfterMs ?? 2_000) / 1_000));
    return new Problem(503, 'dependency-away', `${error.message}. Nothing was lost; ask again.`, { retryAfterS });
  }
  const status = (error as { status?: unknown }).status;
  const type = (error as { type?: unknown }).type;
  if (typeof status === 'number' && status >= 400 && status < 500) return new Problem(status, typeof type === 'string' ? type.replaceAll('.', '-') : 'bad-request', whatToDo(error as RefusedByExpress));
  if ((error as { code?: unknown }).code === NOT_TEXT) return new Problem(400, 'not-text', 'What was given holds a NUL, or half of a character. No name, id or pattern has that.');
  if (error instanceof URIError) return new Problem(400, 'bad-escape', 'The address holds a percent-escape that is not UTF-8 where text is expected.');
  return new Problem(500, 'internal', 'Something went wrong on our side; the log has the details under this request id.');
}

/** What express throws of a request that it cannot read. */
type RefusedByExpress = Error & { readonly type?: string; readonly limit?: number };

function whatToDo({ message, type, limit }: RefusedByExpress): string {
  switch (type) {
    // V8's own words repeat what was sent, which may be a secret.
    case 'entity.parse.failed': return `The body cannot be read as JSON${/ at position \d+/.exec(message)?.[0] ?? ''}. Send an object in UTF-8, such as {"name": "value"}.`;
    case 'entity.too.large': return `The body is larger than ${limit ?? 'allowed'} bytes. Send less at once.`;
    default:
      // Of the charset, or of the encoding.
      if (type?.endsWith('.unsupported') === true) return `${message}. Send UTF-8, as it is or in gzip, deflate or br.`;
      return message.startsWith('Failed to decode param') ? `${message}: the address holds a percent-escape that is not UTF-8 where text is expected.` : message;
  }
}

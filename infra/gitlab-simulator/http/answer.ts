import type { Readable } from 'node:stream';

export type Headers = Record<string, string | number | string[]>;

/** What an endpoint gives back. A stream is sent as it comes, and destroyed when the asker goes away. */
export type Answer =
  | { kind: 'json'; status: number; body: unknown; headers?: Headers }
  | { kind: 'text'; status: number; body: string; headers?: Headers }
  | { kind: 'bytes'; status: number; body: Buffer; headers?: Headers }
  | { kind: 'stream'; status: number; body: Readable; headers?: Headers }
  | { kind: 'empty'; status: number; headers?: Headers };

export function json(body: unknown, status = 200, headers: Headers = {}): Answer {
  return { kind: 'json', status, body, headers };
}

export function empty(status = 204, headers: Headers = {}): Answer {
  return { kind: 'empty', status, headers };
}

/** An answer that ends an endpoint from wherever it is. Its body is GitLab's, so the shapes differ on purpose. */
export class ApiError extends Error {
  readonly answer: Answer;

  constructor(status: number, body: unknown, headers: Headers = {}) {
    super(`${status} ${JSON.stringify(body)}`);
    this.name = 'ApiError';
    this.answer = { kind: 'json', status, body, headers };
  }
}

export function notFound(what?: string): ApiError {
  return new ApiError(404, { message: what === undefined ? '404 Not found' : `404 ${what} Not Found` });
}

export function unauthorized(): ApiError {
  return new ApiError(401, { message: '401 Unauthorized' });
}

export function forbidden(reason?: string): ApiError {
  return new ApiError(403, { message: reason === undefined ? '403 Forbidden' : `403 Forbidden - ${reason}` });
}

export function badRequest(message: unknown): ApiError {
  return new ApiError(400, { message });
}

/** Grape's own refusals of parameters say `error`, GitLab's say `message`. */
export function invalidParameter(text: string): ApiError {
  return new ApiError(400, { error: text });
}

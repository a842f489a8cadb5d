import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { notYet } from '#schemas/api/not-yet.ts';
import { problem } from '#schemas/api/problem.ts';
import { ApiProblem, EngineUnreachable, UnexpectedAnswer } from './api-errors.ts';

/** Until the head of an answer is there. Registering a codebase asks GitLab, which may take its 30 s. */
const ANSWER_MS_MAX = 60_000;
/** An error's body is a few hundred bytes; of a stranger's page nobody needs more. */
const PROBLEM_CHARS_SHOWN = 200;

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface RequestOptions {
  /** Sent as JSON, with an Idempotency-Key. */
  readonly body?: unknown;
  /** Which state a change is meant for: the `If-Match` header. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Requests {
  /** The answer, if it is 2xx. @throws ApiProblem | EngineUnreachable */
  send(method: Method, path: string, options?: RequestOptions): Promise<Response>;
  /** Its body, parsed. @throws ApiProblem | EngineUnreachable | UnexpectedAnswer */
  ask<Schema extends z.ZodType>(schema: Schema, method: Method, path: string, options?: RequestOptions): Promise<z.output<Schema>>;
}

/** Where the engine is, who we are, and how long an answer may take. */
export interface Reach { readonly url: string; readonly token: string | undefined; readonly answerMsMax?: number }

export function createRequests({ url, token, answerMsMax = ANSWER_MS_MAX }: Reach): Requests {
  const base = url.replace(/\/+$/, '');

  async function send(method: Method, path: string, { body, ifMatch, signal }: RequestOptions = {}): Promise<Response> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${answerMsMax / 1_000} s`)), answerMsMax);
    try {
      const response = await fetch(`${base}${path}`, {
        method,
        headers: {
          accept: 'application/json, application/octet-stream;q=0.9',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
          ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      });
      // What a read waited for is not there yet: its body is no answer to what was asked.
      if (!response.ok || (method === 'GET' && response.status === 202)) throw await problemOf(response, `${method} ${base}${path}`);
      return response;
    } catch (error) {
      if (error instanceof ApiProblem || signal?.aborted === true) throw error;
      throw new EngineUnreachable(base, error);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    send,
    async ask(schema, method, path, options) {
      const response = await send(method, path, options);
      const text = await response.text();
      const parsed = schema.safeParse(parseJson(text));
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      throw new UnexpectedAnswer(`${method} ${base}${path} answered what this program does not understand (${issue?.path.join('.') || 'its body'}: ${issue?.message ?? 'unknown'}). Are it and the engine of one version? GET ${base}/version tells the engine's.`);
    },
  };
}

async function problemOf(response: Response, what: string): Promise<ApiProblem> {
  const text = await response.text().catch(() => '');
  const parsed = response.status === 202 ? notYet.safeParse(parseJson(text)) : problem.safeParse(parseJson(text));
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  if (parsed.success) return new ApiProblem(parsed.data, Number.isFinite(retryAfter) ? retryAfter : undefined);
  const shown = text.replace(/\s+/g, ' ').trim().slice(0, PROBLEM_CHARS_SHOWN);
  return new ApiProblem({
    status: response.status, code: 'no-problem-told',
    detail: `${what} was answered ${response.status} by something that does not speak like the engine${shown === '' ? '' : ` ("${shown}")`}. Is this its address?`,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

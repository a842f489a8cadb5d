import type { IncomingMessage, ServerResponse } from 'node:http';

import type { HttpFaultSpec } from './faults.ts';
import { shapeBody } from './shape-body.ts';

/** Says whether the fault was the answer, or only changes the one that comes. */
export async function applyFault(spec: HttpFaultSpec, request: IncomingMessage, response: ServerResponse): Promise<'answered' | 'go on'> {
  if (spec.silent) return 'answered';
  if (spec.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, spec.delayMs));
  if (spec.bytesPerSecond !== undefined || spec.cutAfterBytes !== undefined) shapeBody(response, spec);
  const answer = answerOf(spec, request);
  if (!answer) return 'go on';
  // The body of the request is taken in first: a client still sending would see a reset, not the answer.
  request.resume();
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
  return 'answered';
}

interface WholeAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

function answerOf(spec: HttpFaultSpec, request: IncomingMessage): WholeAnswer | null {
  const url = request.url ?? '/';
  if (spec.gitError !== undefined) return gitErrorAnswer(spec.gitError, url);
  if (spec.html) {
    const body = spec.body ?? '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>';
    return { status: spec.status ?? 200, headers: { 'Content-Type': 'text/html; charset=utf-8', ...spec.headers }, body };
  }
  if (spec.redirectTo !== undefined) {
    const target = spec.redirectTo.replace(/\/$/, '') + url;
    return { status: spec.status ?? 302, headers: { Location: target, 'Content-Type': 'text/html', ...spec.headers }, body: `<a href="${target}">redirected</a>` };
  }
  if (spec.status === undefined) return null;
  const headers: Record<string, string> = { 'Content-Type': url.startsWith('/api/') && spec.status !== 429 ? 'application/json' : 'text/plain', ...spec.headers };
  if (spec.retryAfterSeconds !== undefined) headers['Retry-After'] = String(spec.retryAfterSeconds);
  if (spec.status === 401 && !url.startsWith('/api/')) headers['WWW-Authenticate'] = 'Basic realm="GitLab"';
  return { status: spec.status, headers, body: spec.body ?? bodyOf(spec.status, url) };
}

/** Gitaly's refusal under load: status 200, and an ERR line in the git protocol. */
function gitErrorAnswer(text: string, url: string): WholeAnswer {
  const service = url.includes('receive-pack') ? 'git-receive-pack' : 'git-upload-pack';
  const kind = url.includes('/info/refs') ? 'advertisement' : 'result';
  const line = `ERR ${text}`;
  const length = (Buffer.byteLength(line) + 4).toString(16).padStart(4, '0');
  return { status: 200, headers: { 'Content-Type': `application/x-${service}-${kind}`, 'Cache-Control': 'no-cache' }, body: `${length}${line}` };
}

function bodyOf(status: number, url: string): string {
  const texts: Record<number, string> = { 401: '401 Unauthorized', 403: '403 Forbidden', 404: '404 Not found', 500: '500 Internal Server Error', 502: '502 Bad Gateway', 503: '503 Service Unavailable' };
  if (status === 429) return 'Retry later\n';
  const text = texts[status] ?? String(status);
  return url.startsWith('/api/') ? JSON.stringify({ message: text }) : text;
}

import { randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

import { adminRoutes } from '../admin/admin-routes.ts';
import { answerGit, readGitRequest } from '../git/smart-http.ts';
import type { Instance } from '../instance.ts';
import { restRoutes } from '../rest/rest-routes.ts';
import type { Background } from '../server.ts';
import { ApiError, type Answer } from './answer.ts';
import { applyFault } from './apply-fault.ts';
import { authenticate } from './authenticate.ts';
import { readInput } from './input.ts';
import type { SeenRequest } from './request-log.ts';
import { createRouter, type Call, type Match, type Router } from './router.ts';
import { sendAnswer, setHeaders } from './send-answer.ts';

const API = '/api/v4';
const ADMIN = '/_simulator';
const READ_SCOPES = ['api', 'read_api'];
const WRITE_SCOPES = ['api'];

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  seen: SeenRequest | null;
}

/** The order is GitLab's: what breaks on the way, then the throttle, then who asks, then what for. */
export function createAnswerer(instance: Instance, background: Background): RequestListener {
  const rest = createRouter(restRoutes(instance));
  const admin = createRouter(adminRoutes(instance, background));
  return (request, response) => {
    response.on('error', () => undefined);
    const url = new URL(`${instance.url()}${(request.url ?? '/').replace(/^\/*/, '/')}`);
    const isAdmin = url.pathname.startsWith(`${ADMIN}/`);
    const exchange: Exchange = { request, response, url, seen: isAdmin ? null : instance.requests.begin(request, response) };
    const answering = isAdmin ? answerAdmin(instance, admin, exchange) : answerOutside(instance, rest, exchange);
    answering.catch((error: unknown) => {
      if (!(error instanceof ApiError)) instance.inBackground(() => Promise.reject(error));
      sendAnswer(request, response, answerOf(error));
      request.resume();
    });
  };
}

function answerOf(error: unknown): Answer {
  if (error instanceof ApiError) return error.answer;
  return { kind: 'json', status: 500, body: { message: '500 Internal Server Error' } };
}

async function answerOutside(instance: Instance, router: Router, exchange: Exchange): Promise<void> {
  const { request, response, url, seen } = exchange;
  const fault = instance.faults.takeHttp(request.method ?? '', request.url ?? '');
  if (fault) {
    if (seen) seen.faultId = fault.id;
    if ((await applyFault(fault.spec, request, response)) === 'answered') return;
  }
  const asked = readGitRequest(url);
  if (asked) {
    if (seen) seen.gitService = asked.service;
    return answerGit(instance, asked, { request, response, url });
  }
  if (url.pathname.startsWith(`${API}/`)) return answerRest(instance, router, exchange);
  response.writeHead(404, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end('<!DOCTYPE html><html><head><title>Not Found (404)</title></head><body><h1>404: Page not found</h1></body></html>');
}

async function answerRest(instance: Instance, router: Router, exchange: Exchange): Promise<void> {
  const { request, response, url, seen } = exchange;
  response.setHeader('X-Request-Id', randomUUID());
  response.setHeader('Vary', 'Origin');
  const secret = String(request.headers['private-token'] ?? request.headers.authorization ?? request.socket.remoteAddress);
  const allowance = instance.throttle.take(instance.state.settings(), secret);
  setHeaders(response, allowance.headers);
  if (!allowance.isAllowed) {
    request.resume();
    return sendAnswer(request, response, { kind: 'text', status: 429, body: 'Retry later\n' });
  }
  const method = request.method ?? '';
  const match = router.match(method, url.pathname.slice(API.length));
  if (!match) throw new ApiError(404, { error: '404 Not Found' });
  const scopes = match.route.scopes ?? (method === 'GET' || method === 'HEAD' ? READ_SCOPES : WRITE_SCOPES);
  const caller = authenticate(instance, request, scopes);
  if (seen) seen.tokenId = caller?.token.id ?? null;
  refuseOverLimit(instance, match, caller?.user?.id ?? 0);
  const call: Call = { request, method, url, path: match.path, caller, input: await readInput(request, url.searchParams) };
  sendAnswer(request, response, await match.route.endpoint(call));
}

/** Limits of single endpoints show in no header, before or after they are reached. */
function refuseOverLimit(instance: Instance, { route, path }: Match, userId: number): void {
  if (!route.limit) return;
  const perProject = ['project_repositories_archive', 'web_hook_test', 'web_hook_event_resend'].includes(route.limit) ? (path['id'] ?? '') : '';
  if (instance.throttle.isWithin(route.limit, `${userId} ${perProject}`, instance.state.settings().applicationLimits[route.limit])) return;
  const subject = route.limit === 'project_repositories_archive' ? 'archive' : 'endpoint';
  throw new ApiError(429, { message: { error: `This ${subject} has been requested too many times. Try again later.` } });
}

async function answerAdmin(instance: Instance, router: Router, exchange: Exchange): Promise<void> {
  const { request, response, url } = exchange;
  if (!isSame(String(request.headers['x-simulator-token']), instance.adminToken)) throw new ApiError(401, { error: 'X-Simulator-Token is missing or wrong' });
  const match = router.match(request.method ?? '', url.pathname.slice(ADMIN.length));
  if (!match) throw new ApiError(404, { error: 'no such admin endpoint; see infra/gitlab-simulator/README.md' });
  const call: Call = { request, method: request.method ?? '', url, path: match.path, caller: null, input: await readInput(request, url.searchParams) };
  sendAnswer(request, response, await match.route.endpoint(call));
}

function isSame(given: string, secret: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(secret)];
  return left.length === right.length && timingSafeEqual(left, right);
}

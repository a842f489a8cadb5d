import type { Request, RequestHandler, Response } from 'express';
import { routeOf } from '#shared/access/policy.ts';
import { bearerOf, principalOf, type Principal } from '#shared/runtime/access.ts';
import { networkOf } from '#shared/runtime/limit-requests.ts';
import { toldProblem, type Problem } from '#shared/runtime/problem.ts';
import type { AuditNotes, Note } from './audit-notes.ts';
import type { NoteRefusal } from './note-refusals.ts';
import { RECORDED, type CountedAct } from './recorded.ts';

export interface NoteRequestDeps {
  readonly notes: Pick<AuditNotes, 'note'>;
  readonly noteRefusal: NoteRefusal;
}

/** Before `identify`. What was refused, and what was done that neither fact nor statement records, is noted once it has been answered. */
export function noteRequests({ notes, noteRefusal }: NoteRequestDeps): RequestHandler {
  return (request, response, next) => {
    const { method, path } = request;
    response.once('finish', () => {
      const note = noteOf({ method, path, network: networkOf(request) }, response);
      if (note === undefined) return;
      if (response.statusCode === 401) noteRefusal(note, bearerOf(request.headers.authorization));
      else notes.note(note);
    });
    next();
  };
}

type Asked = Pick<Request, 'method' | 'path'> & { readonly network: string };

function noteOf({ method, path, network }: Asked, response: Response): Note | undefined {
  const [status, problem, principal] = [response.statusCode, toldProblem(response), principalOf(response)];
  const route = routeOf(method, path);
  const common = { actor: principal?.actor ?? { kind: 'nobody' as const, id: null }, address: network === '' ? null : network, route: route ?? null };
  if (isRefusal({ status, problem, principal })) return { ...common, act: refusalOf(route, status), target: problem?.about ?? idIn(path), code: problem?.code ?? null };
  const recorded = status < 400 && route !== undefined ? RECORDED[route] : undefined;
  return recorded !== undefined && 'noted' in recorded ? { ...common, act: recorded.noted, target: lastNameIn(path, route ?? ''), code: null } : undefined;
}

/** Told alike of what is not there and of what is hidden: to a system admin, from whom nothing is, it is no refusal. */
const HIDING = new Set(['codebase-unknown', 'project-unknown', 'sync-unknown']);

function isRefusal({ status, problem, principal }: { readonly status: number; readonly problem: Problem | undefined; readonly principal: Principal | undefined }): boolean {
  if (status === 404) return problem !== undefined && HIDING.has(problem.code) && principal?.isSystemAdmin !== true;
  return status === 401 || status === 403 || status === 429;
}

/** Where somebody shows who they are. */
const SIGN_INS = new Set(['POST /v1/auth/login', 'POST /v1/auth/refresh', 'POST /v1/auth/password', 'POST /v1/auth/gitlab/:source', 'GET /v1/auth/gitlab/:source/callback', 'POST /v1/auth/gitlab/:source/session']);

function refusalOf(route: string | undefined, status: number): CountedAct {
  if (route === 'POST /webhooks/gitlab/:source') return 'delivery-refused';
  if (route !== undefined && SIGN_INS.has(route)) return status === 429 ? 'sign-in-locked' : 'sign-in-refused';
  return 'request-refused';
}

/** An id and nothing else: whatever else stands in an address may be anything, a secret too. */
const idIn = (path: string) => /\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=\/|$)/i.exec(path)?.[1]?.toLowerCase() ?? null;

/** Of what was done: the last name in the address is one of ours. */
function lastNameIn(path: string, route: string): string | null {
  const index = route.split(' ')[1]?.split('/').findLastIndex((part) => part.startsWith(':')) ?? -1;
  return index < 0 ? null : decodeURIComponent(path.split('/')[index] ?? '');
}

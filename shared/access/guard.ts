import type { Request, RequestHandler, Response } from 'express';
import type { MemberRole } from '#schemas/events/project-member-added.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';
import { mustBeKnown, type Access, type Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { codebaseUnknown, mayRead } from './reading.ts';
import { covers, includes, methodsAt, POLICY, ruleOf, scopeOf, type Level, type Rule } from './policy.ts';

/** What somebody is in a project, and what they may read. @throws Unavailable */
export type Rights = Pick<ReadStore, 'roleOf' | 'readable'>;

/** Stands before everything that a door serves, behind `identify`: nobody gets to a handler but who the table of policy.ts lets through, and nothing that it does not name. */
export function guard(rights: Rights): RequestHandler {
  return async (request, response, next) => {
    const rule = ruleOf(request.method, request.path);
    if (rule === undefined || rule.level !== 'public') {
      const principal = mustBeKnown(response);
      if (rule === undefined) throw undeclared(request, response);
      mustBeInScope(principal, rule, request.method);
      await mustHaveLevel(rights, principal, { rule, path: request.path });
    }
    next();
  };
}

function undeclared({ method, path }: Request, response: Response): Problem {
  const methods = methodsAt(path);
  if (methods.length === 0) return new Problem(404, 'no-such-address', `There is nothing at ${method} ${path}. GET / lists what there is.`);
  response.setHeader('Allow', methods.join(', '));
  return new Problem(405, 'method-not-allowed', `${method} is not what ${path} takes. It takes ${methods.join(', ')}.`);
}

export const levelOf = ({ isSystemAdmin }: Principal): Level => (isSystemAdmin ? 'system-admin' : 'authenticated');

/** Of what is open for long, or has no address of HTTP's. @param route as in the table: `WS /v1/live` */
export function mayAsk(principal: Principal, route: string): boolean {
  const rule = POLICY[route];
  return rule !== undefined && includes(levelOf(principal), rule.level) && covers(principal.scope, scopeOf(route.split(' ')[0] ?? '', rule));
}

type Still = 'yes' | 'over' | 'less';

/** Whether who opened something may still have it. While nobody can tell, they may. */
export const stillMay = (access: Access, principal: Principal, route: string) => still(access, principal, (now) => mayAsk(now, route));

/** The same of what shows a system admin everything: it is not for who is none any more. */
export const stillSees = (access: Access, principal: Principal, route: string) => still(access, principal, (now) => mayAsk(now, route) && includes(levelOf(now), levelOf(principal)));

async function still(access: Access, principal: Principal, may: (now: Principal) => boolean): Promise<Still> {
  const now = await access.recheck(principal).catch(() => principal);
  if (now === undefined) return 'over';
  return may(now) ? 'yes' : 'less';
}

/** @throws Problem 403 */
function mustBeInScope(principal: Principal, rule: Rule, method: string): void {
  const scope = scopeOf(method, rule);
  if (!covers(principal.scope, scope)) throw new Problem(403, 'scope-too-small', `This token was made for ${JSON.stringify(principal.scope)}, and this wants ${JSON.stringify(scope)}. POST /v1/tokens makes another.`);
}

/** Who is in no way in a project is told what they would be if there were none. @throws Problem 403, 404 | Unavailable */
async function mustHaveLevel(rights: Rights, principal: Principal, { rule, path }: { readonly rule: Rule; readonly path: string }): Promise<void> {
  const asked = rule.level;
  if (includes(levelOf(principal), asked)) return;
  const [, id = ''] = /^\/v1\/[^/]+\/([^/]+)/i.exec(path) ?? [];
  if (asked === 'reader') {
    if (await mayRead(rights, principal, id)) return;
    throw codebaseUnknown(id);
  }
  if (asked === 'project-member' || asked === 'project-admin') {
    const role = await rights.roleOf(id, principal.actor.id);
    if (role === undefined) throw projectUnknown(id);
    if (includes(LEVEL_OF[role], asked)) return;
  }
  throw new Problem(403, 'not-allowed', `This is for a ${asked.replace('-', ' ')}. GET /v1/whoami says who you are here.`);
}

/** Also of one that is there, to who is in no way in it. */
export const projectUnknown = (id: string) =>
  new Problem(404, 'project-unknown', `There is no project ${JSON.stringify(id)}. GET /v1/projects lists them; one created a moment ago may need a moment.`);

const LEVEL_OF = { member: 'project-member', admin: 'project-admin' } as const satisfies Record<MemberRole, Level>;

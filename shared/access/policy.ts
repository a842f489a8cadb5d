import { TOKEN_SCOPES, type TokenScope } from '#schemas/api/identity.ts';
import { shownRoute, patternOf } from '#shared/runtime/allowed-methods.ts';

/** Each lets in whom the ones behind it let in too: but who reads a codebase is not said by a project, nor the other way round. */
export const LEVELS = ['public', 'authenticated', 'reader', 'project-member', 'project-admin', 'system-admin'] as const;
export type Level = (typeof LEVELS)[number];

/** Who may ask at one address. */
export interface Rule {
  readonly level: Level;
  /** It is a POST, and changes nothing: a token for reading does. */
  readonly isRead?: true;
}

const everybody: Rule = { level: 'public' };
/** Everybody may send; what is not signed with the source's secret is refused by who reads it. */
const bySecret: Rule = { level: 'public' };
/** Theirs alone, or nobody's. */
const known: Rule = { level: 'authenticated' };
const systemAdmin: Rule = { level: 'system-admin' };
/** Their answers show what the asker may read and no more. */
const filtered: Rule = { level: 'authenticated' };
/** Of the codebase that the address names. */
const reader: Rule = { level: 'reader' };
/** Of the project that the address names. */
const member: Rule = { level: 'project-member' };
const projectAdmin: Rule = { level: 'project-admin' };

/** Every address that there is. What is not in here is served to nobody, and an engine that would does not start. */
export const POLICY: Readonly<Record<string, Rule>> = {
  'GET /': everybody, 'GET /livez': everybody, 'GET /readyz': everybody, 'GET /version': everybody,
  'POST /webhooks/gitlab/:source': bySecret,

  'GET /.well-known/jwks.json': everybody,
  // They show who they are in the body.
  'POST /v1/auth/login': everybody, 'POST /v1/auth/refresh': everybody, 'POST /v1/auth/logout': everybody,
  // They prove it by GitLab, and by a code that their own browser was shown.
  'GET /v1/auth/providers': everybody, 'POST /v1/auth/gitlab/:source': everybody, 'GET /v1/auth/gitlab/:source/callback': everybody, 'POST /v1/auth/gitlab/:source/session': everybody,
  'GET /v1/auth/providers/:source': systemAdmin, 'PUT /v1/auth/providers/:source': systemAdmin, 'DELETE /v1/auth/providers/:source': systemAdmin,
  'POST /v1/auth/password': known, 'POST /v1/auth/tickets': { ...known, isRead: true }, 'GET /v1/whoami': known,
  'GET /v1/tokens': known, 'POST /v1/tokens': known, 'DELETE /v1/tokens/:id': known,
  'GET /v1/users': systemAdmin, 'POST /v1/users': systemAdmin, 'PATCH /v1/users/:id': systemAdmin, 'DELETE /v1/users/:id': systemAdmin,
  'POST /v1/users/:id/one-time-password': systemAdmin, 'GET /v1/users/:id/gitlab-users': systemAdmin,
  'PUT /v1/users/:id/gitlab-users/:source': systemAdmin, 'DELETE /v1/users/:id/gitlab-users/:source': systemAdmin,

  'GET /v1/sources': systemAdmin, 'POST /v1/sources': systemAdmin, 'POST /v1/source-checks': systemAdmin,
  'GET /v1/sources/:id': systemAdmin, 'PATCH /v1/sources/:id': systemAdmin, 'DELETE /v1/sources/:id': systemAdmin,
  'PUT /v1/sources/:id/open-projects': systemAdmin, 'POST /v1/sources/:id/rotate-secret': systemAdmin,
  'GET /v1/sources/:id/check': systemAdmin, 'GET /v1/sources/:id/gitlab/groups': systemAdmin,
  'GET /v1/sources/:id/gitlab/projects': systemAdmin, 'GET /v1/sources/:id/manual-hook': systemAdmin,

  'GET /v1/projects': known, 'POST /v1/projects': known,
  'GET /v1/projects/:id': member, 'PATCH /v1/projects/:id': projectAdmin, 'DELETE /v1/projects/:id': projectAdmin,
  'POST /v1/projects/:id/archive': projectAdmin, 'POST /v1/projects/:id/restore': projectAdmin,
  // Whoever puts a codebase into a project lets the project's admins say who reads it.
  'PUT /v1/projects/:id/codebases/:codebase': systemAdmin, 'DELETE /v1/projects/:id/codebases/:codebase': projectAdmin,
  'PUT /v1/projects/:id/codebases/:codebase/readers': projectAdmin, 'DELETE /v1/projects/:id/codebases/:codebase/readers': projectAdmin,
  'GET /v1/projects/:id/members': member, 'PUT /v1/projects/:id/members/:user': projectAdmin, 'DELETE /v1/projects/:id/members/:user': projectAdmin,

  'GET /v1/codebases': filtered, 'POST /v1/codebases': systemAdmin,
  'GET /v1/codebases/:id': reader, 'PATCH /v1/codebases/:id': systemAdmin, 'DELETE /v1/codebases/:id': systemAdmin,
  'GET /v1/codebases/:id/access': systemAdmin, 'GET /v1/access': systemAdmin,
  'POST /v1/codebases/:id/archive': systemAdmin, 'POST /v1/codebases/:id/restore': systemAdmin, 'POST /v1/codebases/:id/syncs': reader,
  'GET /v1/codebases/:id/archive': reader, 'GET /v1/codebases/:id/changes': reader, 'GET /v1/codebases/:id/stats': reader,
  'GET /v1/codebases/:id/refs': reader, 'GET /v1/codebases/:id/versions': reader,
  'GET /v1/codebases/:id/tree/*path': reader, 'GET /v1/codebases/:id/files/*path': reader, 'POST /v1/codebases/:id/files:batch': { ...reader, isRead: true },
  'GET /v1/objects/:id/occurrences': filtered,

  'GET /v1/syncs': filtered, 'GET /v1/syncs/:id': filtered, 'GET /v1/events': filtered,
  'GET /v1/deliveries': systemAdmin, 'GET /v1/deliveries/:id': systemAdmin, 'GET /v1/deliveries/:id/body': systemAdmin,
  'GET /v1/audit': systemAdmin, 'GET /v1/parked': systemAdmin, 'POST /v1/parked/:group/:key/redrive': systemAdmin,

  'GET /v1/live': filtered, 'WS /v1/live': filtered,
  'GET /v1/followers': filtered, 'POST /v1/followers': filtered, 'WS /v1/followers/live': filtered,
  'GET /v1/followers/:name': filtered, 'DELETE /v1/followers/:name': filtered, 'GET /v1/followers/:name/snapshot': filtered,
  'GET /v1/followers/:name/changes': filtered, 'POST /v1/followers/:name/ack': filtered, 'POST /v1/followers/:name/webhook/redeliver': filtered,
};

/** Who may listen to a live channel, over a WebSocket or a stream: of the codebase or project that it names. What it tells is filtered besides. */
export const CHANNELS = { all: systemAdmin, 'codebase:': reader, 'project:': member } as const satisfies Readonly<Record<string, Rule>>;

/** Of a personal token: what it must have been made for. */
export function scopeOf(method: string, { level, isRead }: Rule): TokenScope {
  if (level === 'system-admin') return 'admin';
  return isRead === true || method === 'GET' || method === 'HEAD' || method === 'WS' ? 'read' : 'write';
}

export const includes = (has: Level, asked: Level) => LEVELS.indexOf(has) >= LEVELS.indexOf(asked);

export const covers = (has: TokenScope, asked: TokenScope) => TOKEN_SCOPES.indexOf(has) >= TOKEN_SCOPES.indexOf(asked);

const RULES = Object.entries(POLICY).map(([route, rule]) => {
  const [method = '', path = ''] = route.split(' ');
  return { route, method, pattern: patternOf(path), rule };
});

/** The strictest of those that speak of it; undefined where none does. HEAD goes where GET goes. */
export function ruleOf(method: string, path: string): Rule | undefined {
  return strictestOf(method, path)?.rule;
}

/** The entry that speaks of it, the strictest of several. */
export function routeOf(method: string, path: string): string | undefined {
  return strictestOf(method, path)?.route;
}

/** What an address takes, as an `Allow` header lists it. */
export function methodsAt(path: string): readonly string[] {
  const found = new Set(RULES.filter(({ method, pattern }) => method !== 'WS' && pattern.test(path)).map(({ method }) => method));
  if (found.has('GET')) found.add('HEAD');
  return found.size === 0 ? [] : [...found, 'OPTIONS'].sort();
}

function strictestOf(method: string, path: string) {
  const asked = method === 'HEAD' ? 'GET' : method;
  const found = RULES.filter((one) => one.method === asked && one.pattern.test(path));
  return found.sort((one, other) => LEVELS.indexOf(other.rule.level) - LEVELS.indexOf(one.rule.level))[0];
}

const SHOWN = new Set(Object.keys(POLICY).map(shownRoute));

/** @param served as a door tells it. @throws when an address has no entry: nobody said who may ask there. */
export function mustBeDeclared(served: readonly string[]): void {
  const missing = served.filter((route) => !SHOWN.has(route));
  if (missing.length > 0) throw new Error(`These addresses have no entry in shared/access/policy.ts, which says who may ask there: ${missing.join(', ')}.`);
}

import { type Rest, type RestAnswer } from './target.ts';

/** What the probes ask about: on both sides a project with the branches main and feature/x and the tag v1. */
export interface Subject { readonly projectId: number; readonly projectPath: string; readonly groupId: number | null; readonly commit: string; readonly branch: string; readonly tag: string | null }

/** One answer, without what differs from project to project: status, fields with their types, headers that clients look at. */
export interface Shape { readonly status: number; readonly fields: Readonly<Record<string, string>>; readonly headers: Readonly<Record<string, string>> }

export type Shapes = Readonly<Record<string, Shape>>;

const HEADERS = /^(?:content-type|link|x-page|x-per-page|x-next-page|x-total|x-total-pages|ratelimit-.*|retry-after|x-gitlab-.*)$/;
/** Deeper, fields are GitLab's business. */
const DEPTH_MAX = 3;

/** Asks all that the engine and its setup ask, and a few mistakes. Makes and removes one webhook if it may write. */
export async function probe(rest: Rest, subject: Subject, { mayWrite }: { mayWrite: boolean }): Promise<Shapes> {
  const shapes: Record<string, Shape> = {};
  const ask = async (name: string, method: string, path: string, body?: object): Promise<RestAnswer> => {
    const answer = await rest(method, path, body);
    shapes[name] = shapeOf(answer);
    return answer;
  };
  for (const [name, path] of Object.entries(readsOf(subject))) await ask(name, 'GET', path);
  if (!mayWrite) return shapes;
  const hooks = `/projects/${subject.projectId}/hooks`;
  const hook = { url: 'https://tekai.example.com/webhooks/gitlab/probe', token: 'not-a-secret', push_events: true, tag_push_events: true, enable_ssl_verification: true };
  const made = await ask('hook, made', 'POST', hooks, hook);
  const id = (made.body as { id?: number }).id;
  await ask('hook, without a URL', 'POST', hooks, {});
  await ask('hook, with a URL that is none', 'POST', hooks, { url: 'nonsense' });
  await ask('hook, to its own network', 'POST', hooks, { ...hook, url: 'http://127.0.0.1:1/x' }).then(async ({ body }) => { await removeHook(rest, hooks, body); });
  if (id === undefined) return shapes;
  await ask('hook, signed', 'PUT', `${hooks}/${id}`, { ...hook, signing_token: 'whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=' });
  await ask('hook', 'GET', `${hooks}/${id}`);
  await ask('hook, its deliveries', 'GET', `${hooks}/${id}/events`);
  await ask('hook, removed', 'DELETE', `${hooks}/${id}`);
  await ask('hook, removed twice', 'DELETE', `${hooks}/${id}`);
  return shapes;
}

async function removeHook(rest: Rest, hooks: string, body: unknown): Promise<void> {
  const id = (body as { id?: number } | null)?.id;
  if (id !== undefined) await rest('DELETE', `${hooks}/${id}`);
}

function readsOf({ projectId, projectPath, groupId, commit, branch, tag }: Subject): Record<string, string> {
  const project = `/projects/${projectId}`;
  const nowhere = '0123456789abcdef0123456789abcdef01234567';
  return {
    version: '/version', metadata: '/metadata', user: '/user', 'token, itself': '/personal_access_tokens/self',
    groups: '/groups?per_page=1&order_by=id&sort=asc',
    ...(groupId === null ? {} : { group: `/groups/${groupId}?with_projects=false`, 'projects of a group': `/groups/${groupId}/projects?include_subgroups=true&with_shared=false&order_by=last_activity_at&per_page=1` }),
    'projects, with sizes': '/projects?membership=true&statistics=true&order_by=last_activity_at&per_page=1',
    'projects, by key': '/projects?membership=true&pagination=keyset&order_by=id&sort=asc&per_page=1',
    'projects, by key in another order': '/projects?membership=true&pagination=keyset&order_by=last_activity_at',
    project: `${project}?statistics=true`, 'project by path': `/projects/${encodeURIComponent(projectPath)}`, 'project, absent': '/projects/999999999',
    'branches, by key': `${project}/repository/branches?pagination=keyset&per_page=1`, branch: `${project}/repository/branches/${encodeURIComponent(branch)}`, 'branch, absent': `${project}/repository/branches/no%2Fsuch`,
    ...(tag === null ? {} : { tags: `${project}/repository/tags?per_page=1`, tag: `${project}/repository/tags/${encodeURIComponent(tag)}` }),
    commit: `${project}/repository/commits/${commit}`, 'commit, absent': `${project}/repository/commits/${nowhere}`,
    tree: `${project}/repository/tree?ref=${commit}&per_page=1`, 'tree, no such path': `${project}/repository/tree?ref=${commit}&path=no/such`, 'tree, no such ref': `${project}/repository/tree?ref=no-such`,
    members: `${project}/members/all?per_page=1`, hooks: `${project}/hooks?per_page=1`, 'system hooks': '/hooks?per_page=1', 'no such endpoint': '/nothing/of/this/name',
  };
}

export function shapeOf({ status, headers, body }: RestAnswer): Shape {
  const fields: Record<string, string> = {};
  collect(body, '', { fields, depth: 0 });
  return { status, fields, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => HEADERS.test(name))) };
}

function collect(value: unknown, path: string, into: { fields: Record<string, string>; depth: number }): void {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
  if (path !== '') into.fields[path] = kind;
  if (into.depth >= DEPTH_MAX) return;
  // One entry stands for a list.
  if (Array.isArray(value)) { if (value.length > 0) collect(value[0], `${path}[]`, { ...into, depth: into.depth + 1 }); return; }
  if (kind === 'object') for (const [name, inner] of Object.entries(value as object)) collect(inner, path === '' ? name : `${path}.${name}`, { ...into, depth: into.depth + 1 });
}

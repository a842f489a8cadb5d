import { ApiError, empty, invalidParameter, json, notFound } from '../http/answer.ts';
import { offsetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { hooksOf } from '../hooks/occurrence.ts';
import type { Instance } from '../instance.ts';
import { MAINTAINER, OWNER } from '../state/access.ts';
import type { Hook, HookOwner, Project } from '../state/records.ts';
import { findGroupAtLeast, findProjectAtLeast, requireAdmin } from './find.ts';
import { customHeadersFrom, hookFrom, newHook, showHook } from './hook-fields.ts';
import { listHookEvents, resendHookEvent } from './hook-events.ts';
import { executeSystemHook, testHook } from './hook-test.ts';

/** Whose hooks a call is about: a project's, a group's, or the instance's. */
export interface HookScope {
  owner: HookOwner;
  ownerId: number | null;
  project: Project | null;
}

type Scoping = (call: Call) => HookScope;

export function hookRoutes(instance: Instance): Route[] {
  const ofProject: Scoping = (call) => {
    const project = findProjectAtLeast(instance, call, MAINTAINER);
    return { owner: 'project', ownerId: project.id, project };
  };
  const ofGroup: Scoping = (call) => ({ owner: 'group', ownerId: findGroupAtLeast(instance, call, OWNER).id, project: null });
  const ofSystem: Scoping = (call) => {
    requireAdmin(call);
    return { owner: 'system', ownerId: null, project: null };
  };
  return [
    ...crudRoutes(instance, '/projects/:id/hooks', ofProject),
    ...crudRoutes(instance, '/groups/:id/hooks', ofGroup),
    ...crudRoutes(instance, '/hooks', ofSystem),
    ...eventRoutes(instance, '/projects/:id/hooks', ofProject),
    ...eventRoutes(instance, '/groups/:id/hooks', ofGroup),
    { method: 'POST', pattern: '/hooks/:hook_id', endpoint: (call) => executeSystemHook(instance, findHook(instance, call, ofSystem(call))) },
  ];
}

function crudRoutes(instance: Instance, base: string, scoping: Scoping): Route[] {
  // Reading hooks needs `api` too at GitLab only for writing; `read_api` lists them.
  return [
    { method: 'GET', pattern: base, endpoint: (call) => listHooks(instance, call, scoping(call)) },
    { method: 'GET', pattern: `${base}/:hook_id`, endpoint: (call) => json(showHook(instance, findHook(instance, call, scoping(call)))) },
    { method: 'POST', pattern: base, endpoint: (call) => createHook(instance, call, scoping(call)) },
    { method: 'PUT', pattern: `${base}/:hook_id`, endpoint: (call) => changeHook(instance, call, scoping(call)) },
    { method: 'DELETE', pattern: `${base}/:hook_id`, endpoint: (call) => deleteHook(instance, call, scoping(call)) },
    { method: 'PUT', pattern: `${base}/:hook_id/custom_headers/:key`, endpoint: (call) => setPair(instance, { call, scope: scoping(call), list: 'customHeaders' }) },
    { method: 'DELETE', pattern: `${base}/:hook_id/custom_headers/:key`, endpoint: (call) => removePair(instance, { call, scope: scoping(call), list: 'customHeaders' }) },
    { method: 'PUT', pattern: `${base}/:hook_id/url_variables/:key`, endpoint: (call) => setPair(instance, { call, scope: scoping(call), list: 'urlVariables' }) },
    { method: 'DELETE', pattern: `${base}/:hook_id/url_variables/:key`, endpoint: (call) => removePair(instance, { call, scope: scoping(call), list: 'urlVariables' }) },
  ];
}

function eventRoutes(instance: Instance, base: string, scoping: Scoping): Route[] {
  return [
    { method: 'POST', pattern: `${base}/:hook_id/test/:trigger`, limit: 'web_hook_test', endpoint: (call) => testScoped(instance, call, scoping(call)) },
    { method: 'GET', pattern: `${base}/:hook_id/events`, endpoint: (call) => listHookEvents(instance, call, findHook(instance, call, scoping(call))) },
    { method: 'POST', pattern: `${base}/:hook_id/events/:event_id/resend`, limit: 'web_hook_event_resend', endpoint: (call) => resendHookEvent(instance, call, findHook(instance, call, scoping(call))) },
  ];
}

function testScoped(instance: Instance, call: Call, scope: HookScope) {
  return testHook(instance, { hook: findHook(instance, call, scope), trigger: call.path['trigger'] ?? '', project: scope.project });
}

function findHook(instance: Instance, call: Call, scope: HookScope): Hook {
  const hook = instance.state.hooks.get(Number(call.path['hook_id']));
  if (!hook || hook.owner !== scope.owner || hook.ownerId !== scope.ownerId) throw notFound();
  return hook;
}

function listHooks(instance: Instance, call: Call, scope: HookScope) {
  return offsetPage(call, hooksOf(instance.state, scope.owner, scope.ownerId), (hook) => showHook(instance, hook));
}

/** The same URL twice makes two hooks: GitLab does not mind, so neither does this. */
function createHook(instance: Instance, call: Call, scope: HookScope) {
  call.input.required('url');
  const hook = instance.state.hooks.insert(hookFrom(instance, call.input, newHook(scope.owner, scope.ownerId, instance.now())));
  return json(showHook(instance, hook), 201);
}

function changeHook(instance: Instance, call: Call, scope: HookScope) {
  const before = findHook(instance, call, scope);
  if (scope.owner !== 'system' && !call.input.has('url')) throw invalidParameter('url is missing');
  const hook = instance.state.hooks.put({ ...hookFrom(instance, call.input, before), id: before.id });
  return json(showHook(instance, hook));
}

function deleteHook(instance: Instance, call: Call, scope: HookScope) {
  instance.state.hooks.remove(findHook(instance, call, scope).id);
  return empty();
}

interface PairCall {
  call: Call;
  scope: HookScope;
  list: 'customHeaders' | 'urlVariables';
}

function setPair(instance: Instance, { call, scope, list }: PairCall) {
  const hook = findHook(instance, call, scope);
  const pair = { key: call.path['key'] ?? '', value: call.input.required('value') };
  if (list === 'customHeaders') customHeadersFrom([pair]);
  instance.state.hooks.put({ ...hook, [list]: [...hook[list].filter(({ key }) => key !== pair.key), pair] });
  return empty();
}

function removePair(instance: Instance, { call, scope, list }: PairCall) {
  const hook = findHook(instance, call, scope);
  const left = hook[list].filter(({ key }) => key !== call.path['key']);
  if (left.length === hook[list].length) throw new ApiError(404, { message: '404 Not Found' });
  instance.state.hooks.put({ ...hook, [list]: left });
  return empty();
}

import { ApiError, badRequest } from '../http/answer.ts';
import type { Input } from '../http/input.ts';
import { alertStatusOf } from '../hooks/auto-disable.ts';
import { isSigningToken } from '../hooks/hook-request.ts';
import type { Instance } from '../instance.ts';
import type { BranchFilterStrategy, Hook, HookOwner } from '../state/records.ts';
import { isVersionAtLeast } from '../state/settings.ts';

const COMMON_FLAGS = ['push_events', 'tag_push_events', 'merge_requests_events'];
const PROJECT_FLAGS = [
  'issues_events', 'confidential_issues_events', 'note_events', 'confidential_note_events', 'job_events', 'pipeline_events', 'wiki_page_events', 'deployment_events', 'feature_flag_events',
  'releases_events', 'milestone_events', 'emoji_events', 'resource_access_token_events', 'resource_deploy_token_events', 'vulnerability_events',
];

/** What a kind of hook can be told of, and whether it is without being asked. */
export const FLAGS_AT_FIRST: Record<HookOwner, Record<string, boolean>> = {
  project: flags([...COMMON_FLAGS, ...PROJECT_FLAGS], ['push_events']),
  group: flags([...COMMON_FLAGS, ...PROJECT_FLAGS, 'member_events', 'subgroup_events', 'project_events'], ['push_events']),
  system: flags([...COMMON_FLAGS, 'repository_update_events'], ['repository_update_events']),
};

const HEADER_NAME = /^[A-Za-z](?:[A-Za-z0-9]|[._-](?![._-]))*[A-Za-z0-9]$|^[A-Za-z]$/;
const CUSTOM_HEADERS_MAX = 20;

function flags(names: string[], on: string[]): Record<string, boolean> {
  return Object.fromEntries(names.map((name) => [name, on.includes(name)]));
}

/** A new or changed hook. `signing_token` is unknown to GitLab before 19 and silently ignored there. */
export function hookFrom(instance: Instance, input: Input, before: Omit<Hook, 'id'>): Omit<Hook, 'id'> {
  const url = input.text('url') ?? before.url;
  refuseBadUrl(url);
  const template = input.text('custom_webhook_template');
  const customHeaders = input.raw('custom_headers');
  const hook: Omit<Hook, 'id'> = {
    ...before,
    url,
    name: input.text('name') ?? before.name,
    description: input.text('description') ?? before.description,
    // A new address must not inherit the old secret.
    token: input.has('token') ? (input.text('token') ?? null) : url === before.url ? before.token : null,
    signingToken: signingTokenFrom(instance, input, before.signingToken),
    flags: { ...before.flags, ...flagsFrom(input, before.flags) },
    pushEventsBranchFilter: input.text('push_events_branch_filter') ?? before.pushEventsBranchFilter,
    branchFilterStrategy: strategyFrom(input) ?? before.branchFilterStrategy,
    isSslVerified: input.flag('enable_ssl_verification') ?? before.isSslVerified,
    customTemplate: template ?? before.customTemplate,
    customHeaders: customHeaders === undefined ? before.customHeaders : customHeadersFrom(customHeaders),
  };
  refuseBadFilter(hook);
  return hook;
}

export function newHook(owner: HookOwner, ownerId: number | null, now: Date): Omit<Hook, 'id'> {
  return {
    owner,
    ownerId,
    url: '',
    name: null,
    description: null,
    token: null,
    signingToken: null,
    flags: { ...FLAGS_AT_FIRST[owner] },
    pushEventsBranchFilter: '',
    branchFilterStrategy: 'wildcard',
    isSslVerified: true,
    customTemplate: null,
    customHeaders: [],
    urlVariables: [],
    failures: 0,
    backoffs: 0,
    disabledUntil: null,
    createdAt: now.toISOString(),
  };
}

/** Secrets are never shown, only that they are there. */
export function showHook(instance: Instance, hook: Hook): Record<string, unknown> {
  const settings = instance.state.settings();
  const isDisabling = hook.owner !== 'system';
  return {
    id: hook.id,
    url: hook.url,
    name: hook.name,
    description: hook.description,
    created_at: hook.createdAt,
    ...hook.flags,
    enable_ssl_verification: hook.isSslVerified,
    ...(isDisabling ? { repository_update_events: false, alert_status: alertStatusOf(hook, settings, instance.now()), disabled_until: hook.disabledUntil } : {}),
    url_variables: hook.urlVariables.map(({ key }) => ({ key })),
    push_events_branch_filter: hook.pushEventsBranchFilter,
    branch_filter_strategy: hook.branchFilterStrategy,
    custom_webhook_template: hook.customTemplate,
    custom_headers: hook.customHeaders.map(({ key }) => ({ key })),
    ...(isVersionAtLeast(settings, 19) ? { token_present: hook.token !== null && hook.token !== '', signing_token_present: hook.signingToken !== null } : {}),
    ...(hook.owner === 'project' ? { project_id: hook.ownerId } : {}),
    ...(hook.owner === 'group' ? { group_id: hook.ownerId } : {}),
  };
}

function refuseBadUrl(url: string): void {
  try {
    const { protocol } = new URL(url.replace(/\{[^}]*\}/g, 'x'));
    if (protocol === 'http:' || protocol === 'https:') return;
  } catch {
    // Refused below.
  }
  throw new ApiError(422, { error: 'Invalid url given' });
}

function refuseBadFilter(hook: Omit<Hook, 'id'>): void {
  if (hook.branchFilterStrategy !== 'regex') return;
  try {
    new RegExp(hook.pushEventsBranchFilter);
  } catch {
    throw new ApiError(422, { error: 'Invalid branch filter given' });
  }
}

function signingTokenFrom(instance: Instance, input: Input, before: string | null): string | null {
  if (!input.has('signing_token') || !isVersionAtLeast(instance.state.settings(), 19)) return before;
  const given = input.text('signing_token');
  if (given === undefined || given === '') return null;
  if (!isSigningToken(given)) throw badRequest({ signing_token: ['must be in the format whsec_<base64-encoded 32-byte key>'] });
  return given;
}

function flagsFrom(input: Input, known: Record<string, boolean>): Record<string, boolean> {
  return Object.fromEntries(Object.keys(known).flatMap((name) => {
    const flag = input.flag(name);
    return flag === undefined ? [] : [[name, flag]];
  }));
}

function strategyFrom(input: Input): BranchFilterStrategy | undefined {
  const given = input.text('branch_filter_strategy');
  if (given === undefined) return undefined;
  if (given === 'wildcard' || given === 'regex' || given === 'all_branches') return given;
  throw new ApiError(400, { error: 'branch_filter_strategy does not have a valid value' });
}

export function customHeadersFrom(given: unknown): { key: string; value: string }[] {
  if (!Array.isArray(given) || given.length > CUSTOM_HEADERS_MAX) throw badRequest({ custom_headers: ['is invalid'] });
  return given.map((one: unknown) => {
    const { key, value } = one as { key?: unknown; value?: unknown };
    if (typeof key !== 'string' || typeof value !== 'string' || !HEADER_NAME.test(key)) throw badRequest({ custom_headers: ['must be a valid json schema'] });
    return { key, value };
  });
}

import { createHmac, randomUUID } from 'node:crypto';

import type { Hook } from '../state/records.ts';
import { isVersionAtLeast, type Settings } from '../state/settings.ts';

/** A delivery that is still to be made, or to be made again. */
export interface PlannedDelivery {
  hookId: number;
  trigger: string;
  eventHeader: string;
  payload: Record<string, unknown>;
  projectId: number | null;
  idempotencyKey: string;
  eventUuid: string;
  isTest: boolean;
}

/** GitLab escapes what could end a script element, so the bytes signed are not those of a plain JSON.stringify. */
export function toHookJson(value: unknown): string {
  const escapes: Record<string, string> = { '&': '\\u0026', '<': '\\u003c', '>': '\\u003e', '\u2028': '\\u2028', '\u2029': '\\u2029' };
  return JSON.stringify(value).replace(/[&<>\u2028\u2029]/g, (character) => escapes[character] ?? character);
}

/** The body that goes out: the payload, or what the hook's own template makes of it. */
export function bodyOf(hook: Hook, payload: Record<string, unknown>): string {
  if (hook.customTemplate === null || hook.customTemplate === '') return toHookJson(payload);
  const rendered = hook.customTemplate.replace(/\{\{([\w.]+)\}\}/g, (_whole, name: string) => escapeForJson(valueAt(payload, name)));
  try {
    return toHookJson(JSON.parse(rendered));
  } catch {
    throw new Error('Error while parsing rendered custom webhook template');
  }
}

function valueAt(payload: unknown, dotted: string): unknown {
  let at = payload;
  for (const name of dotted.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return '';
    at = (at as Record<string, unknown>)[name];
  }
  return at ?? '';
}

function escapeForJson(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value).slice(1, -1) : JSON.stringify(value);
}

/** Parts of a URL written `{name}` stand for values that the API never shows. */
export function urlOf(hook: Hook): string {
  return hook.urlVariables.reduce((url, { key, value }) => url.replaceAll(`{${key}}`, value), hook.url);
}

export function headersOf(hook: Hook, planned: PlannedDelivery, about: { settings: Settings; instanceUrl: string; now: Date; body: string }): Record<string, string> {
  const { settings, instanceUrl, now, body } = about;
  const own: Record<string, string> = {
    'Content-Type': 'application/json',
    'User-Agent': `GitLab/${settings.version}`,
    'X-Gitlab-Event': planned.eventHeader,
    'X-Gitlab-Event-UUID': planned.eventUuid,
    'X-Gitlab-Instance': instanceUrl,
  };
  // Fresh for every attempt, in spite of its name.
  if (isVersionAtLeast(settings, 16, 2)) own['X-Gitlab-Webhook-UUID'] = randomUUID();
  if (isVersionAtLeast(settings, 17, 4)) own['Idempotency-Key'] = planned.idempotencyKey;
  if (isVersionAtLeast(settings, 19)) {
    const timestamp = String(Math.floor(now.getTime() / 1_000));
    own['webhook-id'] = planned.idempotencyKey;
    own['webhook-timestamp'] = timestamp;
    if (hook.signingToken !== null) own['webhook-signature'] = signatureOf(hook.signingToken, { id: planned.idempotencyKey, timestamp, body });
  }
  if (hook.token !== null && hook.token !== '') own['X-Gitlab-Token'] = hook.token.replace(/[\r\n]/g, '');
  return withCustomHeaders(hook, own);
}

/** GitLab's own headers win where a custom one has the same name. */
function withCustomHeaders(hook: Hook, own: Record<string, string>): Record<string, string> {
  const taken = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const custom = hook.customHeaders.filter(({ key }) => !taken.has(key.toLowerCase())).map(({ key, value }) => [key, value] as const);
  return { ...Object.fromEntries(custom), ...own };
}

/** Standard Webhooks, version 1. */
export function signatureOf(signingToken: string, message: { id: string; timestamp: string; body: string }): string {
  const key = Buffer.from(signingToken.replace(/^whsec_/, ''), 'base64');
  const digest = createHmac('sha256', key).update(`${message.id}.${message.timestamp}.${message.body}`, 'utf8').digest('base64');
  return `v1,${digest}`;
}

export function isSigningToken(text: string): boolean {
  const match = /^whsec_([A-Za-z0-9+/]{43}=)$/.exec(text);
  return match !== null && Buffer.from(match[1] ?? '', 'base64').length === 32;
}

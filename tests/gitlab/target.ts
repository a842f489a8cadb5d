import { readFileSync } from 'node:fs';
import { Agent, fetch, ProxyAgent, type Dispatcher } from 'undici';
import { PRIVATE_RANGES } from '#shared/addresses/address-classes.ts';
import type { GitLabAccess } from '#shared/gitlab/gitlab.ts';

/** A GitLab that is not ours: an address, a token, and a group in which we may make things. Nothing else is known of it. */
export interface Target {
  readonly url: string;
  readonly token: string;
  /** Absent when only reading. */
  readonly group: string | undefined;
  readonly caFile: string | undefined;
  readonly proxyUrl: string | undefined;
}

/** From GITLAB_URL, GITLAB_TOKEN, GROUP, GITLAB_CA, GITLAB_PROXY. @throws Error that says what is missing */
export function targetFromEnvironment(env: Readonly<Record<string, string | undefined>>): Target {
  const [url, token] = [env['GITLAB_URL'] || undefined, env['GITLAB_TOKEN'] || undefined];
  if (url === undefined || token === undefined) throw new Error('GITLAB_URL and GITLAB_TOKEN are missing: make test-gitlab GITLAB_URL=https://gitlab.example.com GROUP=my/sandbox, with the token in the environment as GITLAB_TOKEN.');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new Error(`GITLAB_URL=${url} is not an address like https://gitlab.example.com.`);
  return { url: url.replace(/\/+$/, ''), token, group: env['GROUP'] || undefined, caFile: env['GITLAB_CA'] || undefined, proxyUrl: env['GITLAB_PROXY'] || undefined };
}

export function accessOf({ url, token, caFile, proxyUrl }: Target): GitLabAccess {
  return { baseUrl: url, token, caPem: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'), proxyUrl, allowAddresses: PRIVATE_RANGES };
}

export interface RestAnswer { readonly status: number; readonly headers: Record<string, string>; readonly body: any }

/** Asks GitLab's REST API as anybody could, not through the adapter that is tested. */
export type Rest = (method: string, path: string, body?: object) => Promise<RestAnswer>;

export function restOf(target: Target): Rest {
  const ca = target.caFile === undefined ? {} : { ca: readFileSync(target.caFile) };
  const dispatcher: Dispatcher = target.proxyUrl === undefined ? new Agent({ connect: ca }) : new ProxyAgent({ uri: target.proxyUrl, requestTls: ca });
  return async (method, path, body) => {
    const response = await fetch(`${target.url}/api/v4${path}`, {
      method, dispatcher, redirect: 'manual', headers: { authorization: `Bearer ${target.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, headers: Object.fromEntries(response.headers), body: isJson && text !== '' ? JSON.parse(text) as unknown : text };
  };
}

/** The answer's body. @throws Error with GitLab's words, unless it is 2xx */
export async function must(answer: Promise<RestAnswer>, doing: string): Promise<any> {
  const { status, body } = await answer;
  if (status >= 200 && status < 300) return body;
  throw new Error(`could not ${doing}: GitLab answered ${status}: ${typeof body === 'string' ? body.slice(0, 300) : JSON.stringify(body)}`);
}

import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GitSetting } from './git-command.ts';
import type { GitLabAccess } from './gitlab.ts';
import { basicOf, redactionOf, type Redact } from './redact.ts';
import { trustedAuthorities } from './trusted-authorities.ts';

/** Where git fetches from, and how it is let in. */
export interface GitRemote {
  /** In the operator's words: `gitlab https://…`. */
  readonly dependency: string;
  readonly origin: string;
  readonly protocol: string;
  /** Hold the credential: for git's eyes only. */
  readonly settings: readonly GitSetting[];
  readonly redact: Redact;
}

/**
 * GitLab builds `http_url_to_repo` from its own settings: of it we take the path, and go to the origin that the source was
 * registered with. So no answer can send the credential elsewhere, and a GitLab behind a proxy works as it does over REST.
 */
export function gitRemoteOf(access: GitLabAccess, url: string, authoritiesDirectory: string): GitRemote {
  const { origin, protocol } = new URL(access.baseUrl);
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError(`the base URL ${origin} is neither http nor https`);
  const settings: GitSetting[] = [
    ['remote.origin.url', origin + new URL(url).pathname],
    // Only for this origin; without redirects it goes nowhere else (gitlab.md 7.2).
    [`http.${origin}/.extraHeader`, `Authorization: Basic ${basicOf(access.token)}`],
    // Empty means none, whatever the system says.
    ['http.proxy', access.proxyUrl ?? ''],
    ['credential.helper', ''],
  ];
  if (access.caPem !== undefined) settings.push(['http.sslCAInfo', authoritiesFile(authoritiesDirectory, access.caPem)]);
  return { dependency: `gitlab ${origin}`, origin, protocol: protocol.slice(0, -1), settings, redact: redactionOf(access) };
}

/** Not secret, and named by its content: written once. */
function authoritiesFile(directory: string, caPem: string): string {
  const bundle = trustedAuthorities(caPem);
  const path = join(directory, `authorities-${createHash('sha256').update(bundle).digest('hex').slice(0, 16)}.pem`);
  if (existsSync(path)) return path;

  mkdirSync(directory, { recursive: true });
  writeFileSync(`${path}.new`, bundle);
  renameSync(`${path}.new`, path);
  return path;
}

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { AddressGuard } from '#shared/addresses/address-guard.ts';
import type { GitSetting } from './git-command.ts';
import type { ClientCertificate, GitLabAccess } from './gitlab.ts';
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

export interface RemoteParts {
  /** `http_url_to_repo`, as GitLab names it. */
  readonly url: string;
  readonly pins: readonly string[];
  readonly authoritiesDirectory: string;
}

/**
 * Looks up what git will connect to, GitLab or its proxy, and says it in curl's words (`host:port:address,…`). A host that is an address
 * needs none. @throws AddressRefused | what the resolver throws
 */
export async function pinsOf({ baseUrl, proxyUrl, allowAddresses = [] }: GitLabAccess, guard: AddressGuard): Promise<readonly string[]> {
  const target = new URL(baseUrl);
  // Through a proxy the name is the proxy's to look up.
  guard.mustBeAllowed(target.hostname, allowAddresses);
  const { hostname, port, protocol } = proxyUrl === undefined ? target : new URL(proxyUrl);
  const found = await guard.addressesOf(hostname, allowAddresses);
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return [];
  const addresses = found.map(({ address, family }) => (family === 6 ? `[${address}]` : address));
  // curl takes a proxy without a port to be at 1080, whatever its scheme says; with https at 443.
  const ports = port !== '' ? [port] : proxyUrl === undefined ? [DEFAULT_PORTS[protocol] ?? ''] : [DEFAULT_PORTS[protocol] ?? '', '1080'];
  // With and without the dot that a name may end in: releases of curl differ.
  const names = hostname.endsWith('.') ? [hostname, hostname.slice(0, -1)] : [hostname];
  return ports.flatMap((one) => names.map((name) => `${name}:${one}:${addresses.join(',')}`));
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * GitLab builds `http_url_to_repo` from its own settings: of it we take the path, and go to the origin that the source was
 * registered with. So no answer can send the credential elsewhere, and a GitLab behind a proxy works as it does over REST.
 */
export function gitRemoteOf(access: GitLabAccess, { url, pins, authoritiesDirectory }: RemoteParts): GitRemote {
  const { origin, protocol } = new URL(access.baseUrl);
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError(`the base URL ${origin} is neither http nor https`);
  const settings: GitSetting[] = [
    ['remote.origin.url', origin + new URL(url).pathname],
    // Only for this origin; without redirects it goes nowhere else (gitlab.md 7.2).
    [`http.${origin}/.extraHeader`, `Authorization: Basic ${basicOf(access.token)}`],
    // Empty means none, whatever the system says.
    ['http.proxy', access.proxyUrl ?? ''],
    // As undici does it: at once. Asked first without, as is git's way, some proxies hang up.
    ['http.proxyAuthMethod', 'basic'],
    ['credential.helper', ''],
    // What git connects to is what was judged: curl asks nobody for this host.
    ...pins.map((pin): GitSetting => ['http.curloptResolve', pin]),
  ];
  if (access.caPem !== undefined) settings.push(['http.sslCAInfo', authoritiesFile(authoritiesDirectory, access.caPem)]);
  if (access.client !== undefined) settings.push(...clientSettings(authoritiesDirectory, access.client));
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

/** curl reads a key from a file only. For us alone to read, named by its content, written again after a start. */
function clientSettings(directory: string, { certPem, keyPem }: ClientCertificate): GitSetting[] {
  const name = createHash('sha256').update(JSON.stringify([certPem, keyPem])).digest('hex').slice(0, 16);
  const file = (kind: string, content: string) => {
    const path = join(directory, `${CLIENT_FILE}${name}.${kind}.pem`);
    if (existsSync(path)) return path;
    mkdirSync(directory, { recursive: true });
    rmSync(`${path}.new`, { force: true });
    writeFileSync(`${path}.new`, content, { mode: 0o600, flag: 'wx' });
    renameSync(`${path}.new`, path);
    return path;
  };
  return [['http.sslCert', file('certificate', certPem)], ['http.sslKey', file('key', keyPem)]];
}

const CLIENT_FILE = 'client-';

/** Keys of sources that are gone or changed must not lie about: at start all go, and those in use come again. */
export function removeClientFiles(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) if (name.startsWith(CLIENT_FILE)) rmSync(join(directory, name), { force: true });
}

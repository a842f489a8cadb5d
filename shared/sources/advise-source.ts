import type { SourceCheck } from '#schemas/api/sources.ts';
import type { CurrentUser, TokenSelf } from '#shared/gitlab/gitlab.ts';
import type { Obstacle } from '#shared/gitlab/unreachable.ts';
import { isLoopback, isPrivate, isSurelyPublic } from './reach-of-address.ts';

type Advice = SourceCheck['advice'];

/** What GitLab said of a credential. */
export type Found =
  | { readonly kind: 'refused'; readonly refusal: string; readonly status: 401 | 403; readonly isDeployToken: boolean }
  | {
    readonly kind: 'known';
    readonly version: string | null;
    readonly tokenKind: SourceCheck['token']['kind'];
    /** Undefined when the token does not tell. */
    readonly self: TokenSelf | undefined;
    readonly user: CurrentUser | undefined;
    readonly readApi: SourceCheck['can']['readApi'];
    readonly refusal: string | null;
  };

export interface About { readonly baseUrl: string; readonly publicUrl: string; readonly now: Date }

/** People need time to make a new token, and holidays are long. */
const EXPIRES_SOON_DAYS = 30;
/** What we know of what GitLab answers begins there. */
const OLDEST_VERSION = 15;
const FIRST_SIGNING_VERSION = 19;

const NEW_TOKEN = 'Make a token with the scope api (webhooks are made for you) or read_api (reads only) in GitLab: avatar → Edit profile → Access tokens; or, for a bot of a group, group → Settings → Access tokens';

/** Why nothing can be done with the token, in GitLab's words and in ours. */
export function refusalOf(found: Found): string {
  if (found.kind === 'known') return `The token lives, but GitLab lets it read nothing over REST: ${(found.refusal ?? 'refused').replace(/\.$/, '')}. ${NEW_TOKEN}.`;
  if (found.isDeployToken) return `GitLab refused the token (${found.status}): ${found.refusal}. It is a deploy token: those fetch by git only, and cannot be asked what there is. ${NEW_TOKEN}.`;
  if (/expired/i.test(found.refusal)) return `GitLab refused the token (${found.status}): ${found.refusal} ${NEW_TOKEN}.`;
  if (found.status === 403) return `GitLab refused the token (${found.status}): ${found.refusal}. Is its user blocked, or this address banned? An administrator of that GitLab knows.`;
  return `GitLab refused the token (${found.status}): ${found.refusal}. It is mistyped, revoked, expired, of another GitLab, or a deploy token. ${NEW_TOKEN}.`;
}

export function adviceFor(found: Found, about: About): Advice {
  const advice: Advice = [];
  if (found.kind === 'refused') advice.push({ code: found.isDeployToken ? 'deploy-token' : /expired/i.test(found.refusal) ? 'token-expired' : 'token-refused', detail: refusalOf(found) });
  else advice.push(...onScopes(found), ...onExpiry(found, about.now), ...onVersion(found.version));
  return [...advice, ...onHooks(about), ...onTransport(about)];
}

function onScopes(found: Extract<Found, { kind: 'known' }>): Advice {
  const scopes = found.self?.scopes;
  if (found.readApi === 'no') return [{ code: 'scope-missing', detail: refusalOf(found) }];
  if (scopes === undefined) return [{ code: 'scopes-unknown', detail: 'GitLab does not tell what this kind of token may do. Making a webhook needs the scope api and a Maintainer; whether that is given shows when the first project is added.' }];
  if (scopes.includes('granular')) return [{ code: 'scopes-unknown', detail: 'This is a fine-grained token. It needs permission to read projects and download code, and to make webhooks if those are to be made for you.' }];
  if (scopes.includes('api')) return [];
  return [{ code: 'scope-missing', detail: `The scope api is missing (there is ${scopes.join(', ')}): webhooks cannot be made for you. Make them by hand (GET …/manual-hook says how), let the engine look for pushes by itself, or make a token with api, of a Maintainer.` }];
}

function onExpiry(found: Extract<Found, { kind: 'known' }>, now: Date): Advice {
  const expiresAt = found.self?.expiresAt ?? null;
  if (expiresAt === null) return [{ code: 'token-expiry-unknown', detail: found.self === undefined ? 'GitLab does not tell when the token ends. Note it yourself: syncing stops with it.' : 'The token never expires. That is convenient, and kept by who finds it; GitLab advises against it.' }];
  const days = Math.floor((Date.parse(expiresAt) - now.getTime()) / 86_400_000) + 1;
  return days > EXPIRES_SOON_DAYS ? [] : [{ code: 'token-expires-soon', detail: `The token ends on ${expiresAt}${days < 2 ? ', within a day' : `, in ${days} days`}; syncing stops then. Rotate it in GitLab, and give the new one to this source before that.` }];
}

function onVersion(version: string | null): Advice {
  const major = Number(/^(\d+)\./.exec(version ?? '')?.[1] ?? Number.NaN);
  if (Number.isNaN(major)) return [];
  if (major < OLDEST_VERSION) return [{ code: 'gitlab-old', detail: `GitLab ${version} is older than ${OLDEST_VERSION}.0. It may answer otherwise than we know; its webhooks carry a secret and no signature.` }];
  if (major < FIRST_SIGNING_VERSION) return [{ code: 'signing-not-offered', detail: `GitLab ${version} does not sign webhooks (${FIRST_SIGNING_VERSION}.0 does): they are known by their secret token.` }];
  return [];
}

function onHooks({ baseUrl, publicUrl }: About): Advice {
  const [gitlab, ours] = [new URL(baseUrl).hostname, new URL(publicUrl).hostname];
  if (isLoopback(ours) && !isLoopback(gitlab)) {
    return [{ code: 'public-url-loopback', detail: `TEKAI_PUBLIC_URL is not set, or names this machine (${publicUrl}): GitLab cannot send webhooks there, so the engine looks for pushes by itself. Set it to the address by which GitLab reaches the engine.` }];
  }
  if (isPrivate(ours) && isSurelyPublic(gitlab)) {
    return [{ code: 'public-url-private', detail: `TEKAI_PUBLIC_URL is ${publicUrl}, an address of a private network, and this GitLab stands outside: its webhooks do not arrive, so the engine looks for pushes by itself. Set it to a public address.` }];
  }
  return [];
}

function onTransport({ baseUrl }: About): Advice {
  const { protocol, hostname } = new URL(baseUrl);
  if (protocol !== 'http:' || isLoopback(hostname)) return [];
  return [{ code: 'http-base-url', detail: 'The address begins with http: the token can be read by whoever stands on the way. Use https, with caPem for a private authority.' }];
}

const WAYS: Readonly<Record<Obstacle | 'answer' | 'not-gitlab', { code: string; detail: string }>> = {
  name: { code: 'name-not-found', detail: 'The name is unknown to DNS here. Look for a typo; if only a proxy knows it, give proxyUrl.' },
  address: { code: 'address-not-allowed', detail: 'The engine sends nothing to addresses that are not public, unless they are allowed.' },
  connection: { code: 'connection-failed', detail: 'Nothing answers at that address and port. Look at the port and at firewalls; if the way leads through a proxy, give proxyUrl.' },
  cut: { code: 'connection-cut', detail: 'The connection was cut before an answer. A GitLab that asks who connects does so: give clientCertPem and clientKeyPem (--client-cert, --client-key) of an authority that it trusts. So do firewalls, and proxies that look into TLS.' },
  authority: { code: 'tls-authority-unknown', detail: 'Its certificate is signed by an authority that this machine does not know. Give that authority as caPem (--ca), in PEM.' },
  tls: { code: 'tls-failed', detail: 'TLS failed: the certificate has expired or is for another name, or this is no TLS port. Use the name that stands in the certificate.' },
  'client-certificate': { code: 'client-certificate-refused', detail: 'It asks who connects. Give clientCertPem and clientKeyPem (--client-cert, --client-key) of an authority that it trusts.' },
  proxy: { code: 'proxy-failed', detail: 'The proxy cannot be reached, or does not let us through. Look at proxyUrl (--proxy), and at what the proxy allows.' },
  'proxy-login': { code: 'proxy-login', detail: 'The proxy wants a login (407). Give it within proxyUrl: http://user:password@proxy:3128, with special characters percent-encoded.' },
  timeout: { code: 'timeout', detail: 'No answer in time. Is a firewall dropping the packets, or GitLab overloaded? Through a proxy, give proxyUrl.' },
  answer: { code: 'gitlab-away', detail: 'Something answers, but not as GitLab does when it is well. Look whether it is up, and whether the address is its own; then try again.' },
  'not-gitlab': { code: 'not-gitlab', detail: 'Something answers that is no GitLab. Give the address as in the browser, without /api/v4, with the path if GitLab lies below one.' },
};

/** For a GitLab that could not be asked: the obstacle first. */
export function adviceOnTheWay(where: keyof typeof WAYS, about: About): Advice {
  return [{ ...WAYS[where] }, ...onTransport(about)];
}

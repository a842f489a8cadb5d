import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import type { GitLabAccess } from './gitlab.ts';
import { trustedAuthorities } from './trusted-authorities.ts';

export interface DispatcherBounds {
  /** Until TCP and TLS stand. */
  readonly connectMs: number;
  /** Silence before or within an answer. */
  readonly idleMs: number;
}

/** Connections to one source: its authorities, its proxy, its patience. Nothing is taken from the environment. */
export function createGitbeakerDispatcher(access: GitLabAccess, bounds: DispatcherBounds): Dispatcher {
  const tls = access.caPem === undefined ? {} : { ca: trustedAuthorities(access.caPem) };
  const patience = { headersTimeout: bounds.idleMs, bodyTimeout: bounds.idleMs, connectTimeout: bounds.connectMs };
  const client = access.client === undefined ? {} : { cert: access.client.certPem, key: access.client.keyPem };
  const connect = { ...tls, ...client, timeout: bounds.connectMs };
  if (access.proxyUrl === undefined) return new Agent({ ...patience, connect });

  return new ProxyAgent({
    ...patience,
    uri: access.proxyUrl,
    // As curl does it: plain http is forwarded, https goes through a tunnel; many proxies refuse CONNECT to port 80.
    proxyTunnel: false,
    requestTls: connect,
    // Who we are is GitLab's to ask, not the proxy's.
    proxyTls: { ...tls, timeout: bounds.connectMs },
  });
}

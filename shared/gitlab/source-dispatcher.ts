import { ProxyAgent, type Dispatcher } from 'undici';
import type { AddressGuard } from '#shared/addresses/address-guard.ts';
import { createGuardedAgent, guardDispatcher } from '#shared/addresses/guard-dispatcher.ts';
import type { GitLabAccess } from './gitlab.ts';
import { trustedAuthorities } from './trusted-authorities.ts';

export interface DispatcherBounds {
  /** Until TCP and TLS stand. */
  readonly connectMs: number;
  /** Silence before or within an answer. */
  readonly idleMs: number;
}

/**
 * Connections to one source: its authorities, its proxy, its patience, and where it may be. Nothing is taken from the environment.
 * Through a proxy, names are looked up by the proxy: of ours is judged where the proxy is, and what is an address already.
 */
export function createSourceDispatcher(access: GitLabAccess, bounds: DispatcherBounds, guard: AddressGuard): Dispatcher {
  const allowed = access.allowAddresses ?? [];
  const tls = access.caPem === undefined ? {} : { ca: trustedAuthorities(access.caPem) };
  const patience = { headersTimeout: bounds.idleMs, bodyTimeout: bounds.idleMs, connectTimeout: bounds.connectMs };
  const client = access.client === undefined ? {} : { cert: access.client.certPem, key: access.client.keyPem };
  const connect = { ...tls, ...client, timeout: bounds.connectMs };
  if (access.proxyUrl === undefined) return createGuardedAgent(guard, { ...patience, connect, allowed });

  const proxy = new ProxyAgent({
    ...patience,
    uri: access.proxyUrl,
    // As curl does it: plain http is forwarded, https goes through a tunnel; many proxies refuse CONNECT to port 80.
    proxyTunnel: false,
    requestTls: connect,
    // Who we are is GitLab's to ask, not the proxy's.
    proxyTls: { ...tls, timeout: bounds.connectMs, lookup: guard.lookup(allowed) },
  });
  return guardDispatcher(proxy, guard, { allowed, more: [new URL(access.proxyUrl).hostname] });
}

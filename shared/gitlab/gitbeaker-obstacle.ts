import type { Obstacle } from './unreachable.ts';

/** OpenSSL's words for a chain that leads to nobody known. */
const AUTHORITY = /^(?:UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(?:_LOCALLY)?)|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_UNTRUSTED)$/;
/** TLS 1.3 servers say so by their own alert; those before it by "handshake failure" or "bad certificate". */
const CLIENT_CERTIFICATE = /ALERT_CERTIFICATE_REQUIRED|ALERT_(?:BAD|UNKNOWN|UNSUPPORTED)_CERTIFICATE|ALERT_UNKNOWN_CA|ALERT_HANDSHAKE_FAILURE|certificate required/;
const TLS = /^(?:ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|EPROTO$|INVALID_PURPOSE$|HOSTNAME_MISMATCH$)/;
const TIMEOUT = /^(?:ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_(?:CONNECT|HEADERS|BODY)_TIMEOUT)$/;

/** What undici, a socket or OpenSSL threw, as the place on the way where it happened. */
export function obstacleOf({ code, message, hasProxy }: { readonly code: string; readonly message: string; readonly hasProxy: boolean }): Obstacle {
  if (code === 'ERR_ADDRESS_REFUSED') return 'address';
  // undici says no more of a proxy that does not open the tunnel.
  const refused = /^Proxy response \((\d{3})\)/.exec(message)?.[1];
  if (refused === '407') return 'proxy-login';
  if (refused !== undefined || code === 'UND_ERR_PRX_TLS') return 'proxy';
  if (AUTHORITY.test(code)) return 'authority';
  if (CLIENT_CERTIFICATE.test(`${code} ${message}`)) return 'client-certificate';
  if (TLS.test(code)) return 'tls';
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timeout';
  // undici loses the alert by which a TLS 1.3 server refuses who connects: all that is left of it is the end of the connection.
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE') return 'cut';
  // With a proxy nothing but the proxy is connected to, and looked up, by us.
  if (hasProxy) return 'proxy';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EAI_NONAME' || code === 'EAI_NODATA') return 'name';
  return TIMEOUT.test(code) ? 'timeout' : 'connection';
}

/** What no second try heals: somebody must change a setting. */
export const isLasting = (obstacle: Obstacle): boolean => obstacle === 'address' || obstacle === 'authority' || obstacle === 'tls' || obstacle === 'client-certificate' || obstacle === 'proxy-login';

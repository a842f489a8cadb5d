import { BlockList, isIP } from 'node:net';

// By the address as it is written: DNS may answer otherwise where GitLab stands, so names are judged only where their end tells.

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addAddress('0.0.0.0');

const PRIVATE = new BlockList();
for (const [net, bits] of [['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['169.254.0.0', 16], ['100.64.0.0', 10]] as const) PRIVATE.addSubnet(net, bits);
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');

/** Names that no public DNS knows (RFC 6761, 6762, 8375 and custom). */
const PRIVATE_NAME = /(?:^|\.)(?:local|internal|intranet|lan|home\.arpa|corp|test)$/i;

/** `host` as URLs have it: an IPv6 address stands in brackets. */
export function isLoopback(host: string): boolean {
  return isWithin(LOOPBACK, host) || /^(?:.*\.)?localhost$/i.test(host);
}

export function isPrivate(host: string): boolean {
  // A name without a dot is known only where it is given.
  return isLoopback(host) || isWithin(PRIVATE, host) || PRIVATE_NAME.test(host) || (isIP(bare(host)) === 0 && !host.includes('.'));
}

/** gitlab.com, or an address of the public network: other names may lead anywhere. */
export function isSurelyPublic(host: string): boolean {
  return /^gitlab\.com$/i.test(host) || (isIP(bare(host)) !== 0 && !isPrivate(host));
}

const bare = (host: string) => host.replace(/^\[|\]$/g, '');

function isWithin(list: BlockList, host: string): boolean {
  const version = isIP(bare(host));
  return version !== 0 && list.check(bare(host), version === 6 ? 'ipv6' : 'ipv4');
}

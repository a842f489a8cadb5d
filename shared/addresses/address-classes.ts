import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** To whom a URL of a user's may lead: `private` by leave of a system admin, `loopback` by leave of who starts the engine, `never` for nobody. */
export type AddressKind = 'public' | 'private' | 'loopback' | 'never';

/** @property range the block by which it is allowed, or why it never is */
export interface AddressClass { readonly kind: AddressKind; readonly range: string }

type Address = ipaddr.IPv4 | ipaddr.IPv6;
interface Block { readonly text: string; readonly first: Address; readonly bits: number }

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(blockOf);
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map(blockOf);
/** Where clouds tell machines their secrets, as far as it is not link-local: Azure, Alibaba, AWS, Google. And what is for measuring networks. */
const NEVER = ['168.63.129.16/32', '100.100.100.200/32', 'fd00:ec2::254/128', 'fd20:ce::254/128', '198.18.0.0/15'].map(blockOf);
/** All of IPv6 that is given out. */
const GIVEN_OUT = blockOf('2000::/3');

/** @param text an address as `dns.lookup` and URLs give it, without brackets. @throws when it is none */
export function classOf(text: string): AddressClass {
  const address = addressOf(text);
  if (NEVER.some((block) => isWithin(address, block))) return { kind: 'never', range: 'metadata of a cloud, or a test of networks' };
  for (const [kind, blocks] of [['private', PRIVATE], ['loopback', LOOPBACK]] as const) {
    const found = blocks.find((block) => isWithin(address, block));
    if (found !== undefined) return { kind, range: found.text };
  }
  const range = address.range();
  if (range === 'unicast' && (address.kind() === 'ipv4' || isWithin(address, GIVEN_OUT))) return { kind: 'public', range: text };
  return { kind: 'never', range };
}

/** @param ranges addresses and CIDR */
export function isIn(text: string, ranges: readonly string[]): boolean {
  const address = addressOf(text);
  return ranges.some((range) => isWithin(address, blockOf(range)));
}

/** Whether all of a range is private: what a command may allow. */
export function isPrivateRange(range: string): boolean {
  const { first, bits } = blockOf(range);
  return PRIVATE.some((block) => bits >= block.bits && isWithin(first, block));
}

export const PRIVATE_RANGES: readonly string[] = PRIVATE.map(({ text }) => text);

/** An IPv4 address that IPv6 wraps (mapped, or of NAT64) is what it wraps. */
function addressOf(text: string): Address {
  if (isIP(text) === 0) throw new TypeError(`not an address: ${text}`);
  const address = ipaddr.process(text);
  return address.kind() === 'ipv6' && address.range() === 'rfc6052' ? ipaddr.fromByteArray(address.toByteArray().slice(-4)) : address;
}

function blockOf(text: string): Block {
  const [first, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), isIP(text) === 4 ? 32 : 128];
  return { text, first, bits };
}

const isWithin = (address: Address, { first, bits }: Block) => address.kind() === first.kind() && (address as ipaddr.IPv6).match(first as ipaddr.IPv6, bits);

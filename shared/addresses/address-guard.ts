import type { LookupAddress } from 'node:dns';
import { lookup as resolveByNode } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { classOf, isIn, type AddressClass } from './address-classes.ts';

/** A URL of a user's leads where nobody allowed it to lead. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
  readonly code = 'ERR_ADDRESS_REFUSED';
  readonly host: string;
  readonly address: string;
  readonly found: AddressClass;

  constructor(host: string, address: string, found: AddressClass) {
    super(`${host === address ? host : `${host} is at ${address}, which`} ${WHY[found.kind](found.range)}`);
    this.host = host;
    this.address = address;
    this.found = found;
  }
}

const WHY: Readonly<Record<AddressClass['kind'], (range: string) => string>> = {
  public: () => 'is public',
  private: (range) => `is in the private range ${range}. If that is meant, a system admin allows it: send "allowAddresses": ["${range}"] with it (tekai: --allow-addresses ${range})`,
  loopback: (range) => `is this machine itself (${range}). If that is meant, whoever starts the engine allows it: TEKAI_ALLOW_ADDRESSES=${range}`,
  never: (range) => `is an address to which nothing is sent for anybody (${range})`,
};

export interface AddressGuardOptions {
  /** For everything: addresses and ranges that whoever started the engine allows. */
  readonly allowed: readonly string[];
  /** All addresses of a name. */
  resolve?(host: string): Promise<readonly LookupAddress[]>;
}

/**
 * Stands before every connection that is made because a user gave a URL. Hosts are as URLs have them: whoever parses a URL has
 * written out decimal, octal and hexadecimal addresses. `allowed` are the ranges of whose URL it is.
 */
export interface AddressGuard {
  /** Of a host that is an address. Names pass: they are judged by where they lead. @throws AddressRefused */
  mustBeAllowed(host: string, allowed: readonly string[]): void;
  /** All that a host has, each of them allowed. @throws AddressRefused | what the resolver throws */
  addressesOf(host: string, allowed: readonly string[]): Promise<readonly LookupAddress[]>;
  /** For a socket: what it is given has been judged, and it asks no second time. */
  lookup(allowed: readonly string[]): LookupFunction;
}

export function createAddressGuard({ allowed: byAll, resolve = (host) => resolveByNode(host, { all: true }) }: AddressGuardOptions): AddressGuard {
  function judge(host: string, address: string, allowed: readonly string[]): void {
    const found = classOf(address);
    const ranges = found.kind === 'loopback' ? byAll : [...byAll, ...allowed];
    if (found.kind === 'public' || (found.kind !== 'never' && isIn(address, ranges))) return;
    throw new AddressRefused(host, address, found);
  }

  const guard: AddressGuard = {
    mustBeAllowed(host, allowed) {
      const bare = bareOf(host);
      if (isIP(bare) !== 0) judge(bare, bare, allowed);
    },
    async addressesOf(host, allowed) {
      const bare = bareOf(host);
      const family = isIP(bare);
      const found = family === 0 ? await resolve(bare) : [{ address: bare, family }];
      // One that is refused refuses all: a name that leads inside and outside is nobody's honest wish.
      for (const { address } of found) judge(bare, address, allowed);
      return found;
    },
    lookup: (allowed) => (host, { family, all }, answer) => {
      guard.addressesOf(host, allowed).then((found) => {
        const wanted = familyOf(family);
        const fitting = found.filter((one) => wanted === 0 || one.family === wanted);
        const [first] = fitting;
        if (first === undefined) answer(Object.assign(new Error(`${host} has no address of the family wanted`), { code: 'ENOTFOUND' }), '', 0);
        else if (all === true) answer(null, fitting);
        else answer(null, first.address, first.family);
      }, (error: NodeJS.ErrnoException) => answer(error, '', 0));
    },
  };
  return guard;
}

/** An IPv6 address stands in brackets in URLs. */
const bareOf = (host: string) => host.replace(/^\[|\]$/g, '');

const familyOf = (family: number | 'IPv4' | 'IPv6' | undefined) => (family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family ?? 0);

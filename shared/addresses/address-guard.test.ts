import type { LookupAddress } from 'node:dns';
import type { AddressRefused} from './address-guard.ts';
import { createAddressGuard, type AddressGuard } from './address-guard.ts';

const at = (...addresses: string[]): LookupAddress[] => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
const guardOf = (answers: readonly (readonly LookupAddress[])[], allowed: readonly string[] = []) => {
  const left = [...answers];
  return createAddressGuard({ allowed, resolve: async () => left.shift() ?? [] });
};
const refusalOf = (promise: Promise<unknown>) => promise.then((value) => { throw new Error(`it was let through: ${JSON.stringify(value)}`); }, (error: unknown) => error as AddressRefused);
const lookedUp = (guard: AddressGuard, options: { family?: 4 | 6; all?: boolean } = {}) => new Promise<unknown>((resolve, reject) => {
  guard.lookup([])('gitlab.example', options, (error, address) => { if (error === null) resolve(address); else reject(error); });
});

test('one address that is not allowed refuses the whole name', async () => {
  expect(await guardOf([at('93.184.216.34', '2606:2800:220:1::1')]).addressesOf('gitlab.example', [])).toHaveLength(2);
  expect((await refusalOf(guardOf([at('93.184.216.34', '10.0.0.7')]).addressesOf('gitlab.example', []))).address).toBe('10.0.0.7');
});

test.each(['http://2130706433', 'http://0x7f000001', 'http://0177.0.0.1', 'http://127.1', 'http://0x7f.0.0.0x1', 'http://[::ffff:127.0.0.1]', 'http://[::1]', 'http://127.0.0.1.', 'http://①②⑦.0.0.1'])('%s is this machine, however it is written', async (url) => {
  const { hostname } = new URL(url);
  const guard = guardOf([at('127.0.0.1')]);
  expect((await refusalOf(guard.addressesOf(hostname, []))).found.kind).toBe('loopback');
});

test('private addresses are allowed by whose URL it is, this machine only by who started the engine, others by nobody', async () => {
  const everything = ['0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1'];
  await guardOf([]).addressesOf('10.0.0.7', ['10.0.0.0/8']);
  await guardOf([], ['10.0.0.0/8']).addressesOf('10.0.0.7', []);
  await guardOf([], ['127.0.0.0/8']).addressesOf('127.0.0.1', []);
  expect((await refusalOf(guardOf([]).addressesOf('127.0.0.1', everything))).message).toContain('TEKAI_ALLOW_ADDRESSES=127.0.0.0/8');
  expect((await refusalOf(guardOf([]).addressesOf('10.0.0.7', ['192.168.0.0/16']))).message).toContain('"allowAddresses": ["10.0.0.0/8"]');
  for (const never of ['169.254.169.254', '0.0.0.0', '[fd00:ec2::254]', '[::]']) expect((await refusalOf(guardOf([], everything).addressesOf(never, everything))).found.kind).toBe('never');
});

test('a name that led outside when it was judged and leads inside when it is connected to, is refused then', async () => {
  const guard = guardOf([at('93.184.216.34'), at('10.0.0.7')]);
  await guard.addressesOf('gitlab.example', []);
  await expect(lookedUp(guard)).rejects.toThrow(/gitlab\.example is at 10\.0\.0\.7, which is in the private range/);
});

test('a socket is given the addresses that were judged, in the form that it asks for', async () => {
  const found = at('2606:2800:220:1::1', '93.184.216.34');
  expect(await lookedUp(guardOf([found]), { all: true })).toEqual(found);
  expect(await lookedUp(guardOf([found]))).toBe('2606:2800:220:1::1');
  expect(await lookedUp(guardOf([found]), { family: 4 })).toBe('93.184.216.34');
  await expect(lookedUp(guardOf([at('93.184.216.34')]), { family: 6 })).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

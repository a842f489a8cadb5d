import { addressRange, allowAddresses } from '#schemas/addresses.ts';
import { classOf, isIn, isPrivateRange, PRIVATE_RANGES } from './address-classes.ts';

test.each([
  ['public', ['8.8.8.8', '93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946', '172.32.0.1', '11.0.0.1', '64:ff9b::5db8:d822']],
  ['private', ['10.0.0.7', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd00::1', 'fc00::1', '::ffff:10.0.0.7', '::ffff:a00:7', '64:ff9b::a00:7']],
  ['loopback', ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1']],
  ['never', [
    '169.254.169.254', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe', 'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16', '192.0.0.192',
    '0.0.0.0', '0.1.2.3', '::', '255.255.255.255', '224.0.0.1', 'ff02::1', '240.0.0.1', '198.18.0.1', '192.0.2.1', '203.0.113.9', '2001:db8::1', '2002:7f00:1::', '2001::1', 'fec0::1', '::7f00:1', '64:ff9b:1::1',
  ]],
] as const)('%s: each of its addresses, however it is wrapped', (kind, addresses) => {
  expect(addresses.filter((address) => classOf(address).kind !== kind)).toEqual([]);
});

test('a private address is told with the range by which it is allowed', () => {
  expect(['10.9.8.7', '172.20.0.1', '192.168.0.1', '100.127.0.1', 'fd12::1', '::ffff:10.0.0.1'].map((address) => classOf(address).range)).toEqual(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', '10.0.0.0/8']);
});

test('a range holds what is in it, and no address of the other kind', () => {
  expect(isIn('10.1.2.3', ['192.168.0.0/16', '10.1.0.0/16'])).toBe(true);
  expect(isIn('::ffff:10.1.2.3', ['10.1.0.0/16'])).toBe(true);
  expect(isIn('10.1.2.3', ['10.1.2.3'])).toBe(true);
  expect(isIn('10.2.2.3', ['10.1.0.0/16', 'a01:203::/16'])).toBe(false);
});

test('what a command may allow lies within the private ranges, whole', () => {
  expect([...PRIVATE_RANGES, '10.1.2.3', '192.168.7.0/24', 'fd00::/8', '172.16.0.0/12'].filter((range) => !isPrivateRange(range))).toEqual([]);
  expect(['127.0.0.1', '::1', '169.254.169.254', '8.8.8.8', '10.0.0.0/7', '172.16.0.0/11', 'fe80::/10', '::/1', '0.0.0.0/1'].filter(isPrivateRange)).toEqual([]);
});

test('a range is written as everybody writes it, and is never all there is', () => {
  expect(allowAddresses.safeParse(['10.0.0.0/8', '10.0.0.1', 'fd00::/8', '::1']).success).toBe(true);
  for (const wrong of ['10.0.0', '10.0.0.0/33', '010.0.0.1', '0x7f.1', 'localhost', '10.0.0.0/8 ', '10.0.0.0-10.0.0.9', '0.0.0.0/0', '::/0', '']) expect([wrong, addressRange.safeParse(wrong).success]).toEqual([wrong, false]);
});

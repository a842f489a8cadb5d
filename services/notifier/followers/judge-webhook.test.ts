import { createAddressGuard } from '#shared/addresses/address-guard.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { judgeWebhook } from './judge-webhook.ts';

const HOSTS: Readonly<Record<string, string>> = { 'out.example': '8.8.8.8', 'in.example': '10.1.2.3', 'here.example': '127.0.0.1' };
const guardOf = (allowed: readonly string[]) => createAddressGuard({
  allowed,
  resolve: async (host) => {
    const address = HOSTS[host];
    if (address === undefined) throw new Error('ENOTFOUND');
    return [{ address, family: 4 }];
  },
});
/** Whoever started the engine allows this machine and a private range, for a GitLab. */
const guards = { addresses: guardOf(['127.0.0.0/8', '10.0.0.0/8']), publicAddresses: guardOf([]) };
const who = (isSystemAdmin: boolean): Principal => ({ actor: { kind: 'user', id: 'ann' }, isSystemAdmin, scope: 'admin', credential: { kind: 'personal-token', id: 'p' } });
const judged = (isSystemAdmin: boolean, webhook: { url: string; allowAddresses?: string[] }) => judgeWebhook(guards, { name: 'hook', all: true, webhook }, who(isSystemAdmin)).then(() => 'taken', (error: { code: string }) => error.code);

test.each([
  ['https://out.example/hook', 'taken', 'taken'],
  ['https://nobody-yet.example/hook', 'taken', 'taken'],
  ['http://out.example/hook', 'taken', 'address-not-allowed'],
  ['https://out.example:8443/hook', 'taken', 'address-not-allowed'],
  ['https://in.example/hook', 'taken', 'address-not-allowed'],
  ['https://here.example/hook', 'taken', 'address-not-allowed'],
  ['https://127.0.0.1/hook', 'taken', 'address-not-allowed'],
  ['https://169.254.169.254/', 'address-not-allowed', 'address-not-allowed'],
])('a webhook at %s: of a system admin %s, of somebody else %s, though this machine and a private range are allowed for sources', async (url, ofAdmin, ofOther) => {
  expect([await judged(true, { url }), await judged(false, { url })]).toEqual([ofAdmin, ofOther]);
});

test('private addresses are for a system admin to allow', async () => {
  const webhook = { url: 'https://out.example/', allowAddresses: ['10.0.0.0/8'] };
  expect([await judged(true, webhook), await judged(false, webhook)]).toEqual(['taken', 'not-allowed']);
});

test('at which address of ours a name stands is told to a system admin, and to nobody else', async () => {
  const told = (isSystemAdmin: boolean) => judgeWebhook({ ...guards, addresses: guards.publicAddresses }, { name: 'hook', all: true, webhook: { url: 'https://in.example/' } }, who(isSystemAdmin)).then(() => 'taken', (error: { message: string }) => error.message);
  expect(await told(true)).toContain('10.1.2.3');
  expect(await told(false)).not.toMatch(/10\.1|in\.example/);
});

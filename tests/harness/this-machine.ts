import { createAddressGuard } from '#shared/addresses/address-guard.ts';

/** Where what is tested may connect to: the servers of the tests are on this machine. */
export const THIS_MACHINE = createAddressGuard({ allowed: ['127.0.0.0/8', '::1/128'] });

import { z } from 'zod';

/** One address, or a range in CIDR: `192.0.2.7`, `10.0.0.0/8`, `fd00::/8`. Never everybody (`/0`). */
export const addressRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'an address or a range, such as 192.0.2.7 or 10.0.0.0/8').refine((range) => !/\/0+$/.test(range), 'a range that is not all there is');

/** Private addresses and ranges to which a URL given by somebody may lead. */
export const allowAddresses = z.array(addressRange).max(20);

import { z } from 'zod';
import { sourceId } from '../brand.ts';
import { defineFact } from './fact.ts';
import { deliveryBody } from './push-received.ts';

/** An authentic delivery that asks for no work, and why. Answered 2xx all the same: anything else would disable the hook. */
export const deliveryIgnored = defineFact({
  type: 'delivery.ignored',
  schemaVersion: 1,
  streamPrefixes: ['delivery-'],
  data: z.object({ deliveryId: z.uuid(), sourceId, reason: z.string().max(500), body: deliveryBody }),
});

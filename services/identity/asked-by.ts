import type { Request, Response } from 'express';
import { actorOf } from '#shared/runtime/access.ts';
import { networkOf } from '#shared/runtime/limit-requests.ts';
import type { By } from './recording.ts';

/** The address that connects, of IPv6 the /56. */
export const from = (request: Request) => networkOf(request) || null;

/** Of who is known. */
export const by = (request: Request, response: Response): By => ({ actor: actorOf(response), address: from(request) });

import { z } from 'zod';
import { codebaseId, refName, syncId } from '../brand.ts';
import { apiPosition, apiTime } from './receipt.ts';

/** 202 of a read with `atLeast=`: what was waited for is not there yet. Like a problem, `code` and `detail` say so. */
export const notYet = z.object({
  status: z.literal(202),
  code: z.literal('not-yet'),
  detail: z.string(),
  codebase: codebaseId,
  atLeast: z.string(),
  /** Where the read tables stand. */
  position: apiPosition,
  /** Syncs of this codebase (of the ref asked for, when one was) that are under way. */
  syncs: z.array(z.object({ id: syncId, ref: refName, state: z.string(), commit: z.string().nullable(), begunAt: apiTime })),
  parked: z.array(z.object({ group: z.string(), reason: z.string(), since: z.string() })),
});

import { z } from 'zod';
import { codebaseId, factId, objectId, refName, syncId } from '../brand.ts';
import { objectCounts } from '../events/sync.ts';
import { apiTime } from './receipt.ts';

/** How far a sync's step is; a courtesy, not a fact. */
export const syncProgress = z.object({
  syncId,
  codebaseId,
  ref: refName,
  step: z.enum(['fetch', 'scan', 'store']),
  objectsDone: z.number().min(0),
  /** Null while nobody knows. */
  objectsTotal: z.number().min(0).nullable(),
  bytesDone: z.number().min(0),
});
export type SyncProgress = z.infer<typeof syncProgress>;

/** `GET /v1/syncs/{id}` */
export const syncAnswer = z.object({
  id: syncId,
  codebaseId,
  ref: refName,
  cause: factId.nullable(),
  correlationId: z.string(),
  state: z.enum(['waiting', 'fetched', 'scanned', 'stored', 'skipped', 'deleted', 'failed']),
  isEnded: z.boolean(),
  reason: z.string().nullable(),
  detail: z.string().nullable(),
  coveredBy: syncId.nullable(),
  commit: objectId.nullable(),
  tree: objectId.nullable(),
  hintReached: z.boolean().nullable(),
  attempt: z.int().nullable(),
  begunAt: apiTime,
  fetchedAt: apiTime.nullable(),
  scannedAt: apiTime.nullable(),
  endedAt: apiTime.nullable(),
  counts: objectCounts.nullable(),
  bytes: z.int().nullable(),
  objectsAdded: z.int().nullable(),
  progress: syncProgress.nullable(),
});
export type SyncAnswer = z.infer<typeof syncAnswer>;

/** `GET /v1/syncs`, the latest begun first. */
export const syncList = z.object({ syncs: z.array(syncAnswer), next: z.string().nullable().default(null) });

/** `POST /v1/codebases/{id}/syncs`: one ref names its sync, all refs only their cause. */
export const syncRequestedAnswer = z.object({ cause: factId, sync: syncId.nullable(), url: z.string() });
export type SyncRequestedAnswer = z.infer<typeof syncRequestedAnswer>;

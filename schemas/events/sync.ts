import { z } from 'zod';
import { codebaseId, gitObjectFormat, objectId, packId, refName, syncId } from '../brand.ts';

/** What every fact of a sync says: which sync, of which ref of which codebase. */
export const syncOf = { syncId, codebaseId, ref: refName };

/** The state of a ref that a sync is about. `commit` is null, and the tree the empty one, for an empty repository. */
export const refState = {
  commit: objectId.nullable(),
  commitTime: z.iso.datetime().nullable(),
  tree: objectId,
  objectFormat: gitObjectFormat,
  /** What HEAD named when GitLab was asked: the default branch is folded from facts. */
  defaultRef: refName.nullable(),
  /** When GitLab was asked for the head. */
  observedAt: z.iso.datetime(),
  /** False when GitLab never showed the commit that the hint named. Null when the cause named none. */
  hintReached: z.boolean().nullable(),
};

export const packMade = z.object({ pack: packId, bytes: z.int().min(0), objects: z.int().min(1) });
export type PackMade = z.infer<typeof packMade>;

export const objectCounts = z.object({ commits: z.int().min(0), trees: z.int().min(0), blobs: z.int().min(0) });

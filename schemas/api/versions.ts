import { z } from 'zod';
import { factId, gitObjectFormat, objectId, refName, syncId } from '../brand.ts';
import { apiPosition, apiTime, receipt } from './receipt.ts';

const person = z.object({ name: z.string(), email: z.string(), /** Beyond what a date can say in odd commits. */ time: z.string().nullable() });

/** What people wrote into a commit, read from it when asked. Bytes that are no text became U+FFFD. */
export const commitDetails = z.object({
  author: person.nullable(),
  committer: person.nullable(),
  subject: z.string(),
  /** Its beginning; `isMessageCut` says whether there is more. */
  message: z.string(),
  isMessageCut: z.boolean(),
});

/** What brought a version: the fact that asked for it, and the delivery or command that began it all. */
export const broughtBy = z.object({
  cause: factId.nullable(),
  /** Null while the index does not know the cause. */
  type: z.string().nullable(),
  correlationId: z.string(),
  /** For `GET /v1/deliveries/{id}`; null when it was no delivery that began it. */
  delivery: z.string().nullable(),
});

/** How long each step took, ms, by our clock; from the cause to the version. */
export const stepTimes = z.object({
  receivedAt: apiTime,
  fetchedAt: apiTime.nullable(),
  scannedAt: apiTime.nullable(),
  storedAt: apiTime.nullable(),
  fetchMs: z.int().nullable(),
  scanMs: z.int().nullable(),
  storeMs: z.int().nullable(),
  totalMs: z.int().nullable(),
});

const brought = {
  /** Null for an empty repository, a deletion, and a commit that cannot be read. */
  details: commitDetails.nullable().default(null),
  broughtBy: broughtBy.nullable().default(null),
  steps: stepTimes.nullable().default(null),
};

/** `GET /v1/codebases/{id}/refs`, by name. */
export const refList = z.object({
  defaultRef: refName.nullable(),
  refs: z.array(receipt.extend({ commitTime: apiTime.nullable(), sync: syncId, ...brought })),
  next: z.string().nullable().default(null),
});
export type RefList = z.infer<typeof refList>;

/** `GET /v1/codebases/{id}/versions`, newest first. */
export const versionList = z.object({
  versions: z.array(z.object({
    ref: refName,
    state: z.enum(['stored', 'deleted', 'unfollowed']),
    commit: objectId.nullable(),
    commitTime: apiTime.nullable(),
    tree: objectId.nullable(),
    objectFormat: gitObjectFormat.nullable(),
    sync: syncId,
    storedAt: apiTime,
    observedAt: apiTime,
    position: apiPosition,
    ...brought,
  })),
  next: z.string().nullable().default(null),
});
export type VersionList = z.infer<typeof versionList>;

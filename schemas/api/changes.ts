import { z } from 'zod';
import { objectId } from '../brand.ts';
import { entryType } from './content.ts';
import { receipt } from './receipt.ts';

const leaf = z.object({ type: entryType, mode: z.string(), id: objectId });

/** Names in git are bytes: `pathHex` is there when the text is not the whole truth. */
export const change = z.object({
  status: z.enum(['added', 'removed', 'modified', 'modeChanged', 'renamed']),
  path: z.string(),
  pathHex: z.string().optional(),
  /** Where the same content stood before. */
  renamedFrom: z.string().optional(),
  renamedFromHex: z.string().optional(),
  from: leaf.nullable(),
  to: leaf.nullable(),
});
export type ChangeAnswer = z.infer<typeof change>;

/** `GET /v1/codebases/{id}/changes?from=&to=` */
export const changesAnswer = z.object({
  from: receipt,
  to: receipt,
  /** False when it was not asked for, or too much changed to look. */
  areRenamesFound: z.boolean(),
  /** Of all changes; null where only this page is known: `summary=true` counts. */
  counts: z.object({ added: z.int(), removed: z.int(), modified: z.int(), modeChanged: z.int(), renamed: z.int() }).nullable(),
  changes: z.array(change),
  next: z.string().nullable(),
});
export type ChangesAnswer = z.infer<typeof changesAnswer>;

import { z } from 'zod';
import { objectId } from '../brand.ts';
import { receipt } from './receipt.ts';

export const entryType = z.enum(['folder', 'file', 'executable', 'symlink', 'submodule']);

/** Names in git are bytes: `nameHex` is there when the text is not the whole truth. */
export const treeEntry = z.object({
  name: z.string(),
  nameHex: z.string().optional(),
  type: entryType,
  mode: z.string(),
  id: objectId,
  /** Of a folder: everything below it. */
  files: z.int().min(0).optional(),
  bytes: z.int().min(0).optional(),
  language: z.string().nullable().optional(),
  lines: z.int().min(0).nullable().optional(),
  isBinary: z.boolean().optional(),
  isLfsPointer: z.boolean().optional(),
});
export type TreeEntryAnswer = z.infer<typeof treeEntry>;

/** `GET /v1/codebases/{id}/tree/{path}` */
export const treePage = z.object({
  receipt,
  path: z.string(),
  pathHex: z.string().optional(),
  tree: objectId,
  total: z.int().min(0),
  entries: z.array(treeEntry),
  next: z.string().nullable(),
});
export type TreePage = z.infer<typeof treePage>;

import { z } from 'zod';
import { objectId } from '../brand.ts';
import { receipt } from './receipt.ts';

/** `GET /v1/codebases/{id}/stats?path=` */
export const statsAnswer = z.object({
  receipt,
  path: z.string(),
  pathHex: z.string().optional(),
  tree: objectId,
  files: z.int().min(0),
  bytes: z.int().min(0),
  /** Most bytes first. Files of no known language, links and binaries are in none of them. Files and lines are null where they were not counted when the tree was stored. */
  languages: z.array(z.object({ name: z.string(), files: z.int().min(0).nullable(), bytes: z.int().min(0), lines: z.int().min(0).nullable() })),
});
export type StatsAnswer = z.infer<typeof statsAnswer>;

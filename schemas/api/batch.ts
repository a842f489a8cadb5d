import { z } from 'zod';
import { objectId } from '../brand.ts';
import { receipt } from './receipt.ts';

export const BATCH_PATHS_MAX = 1_000;

/** Body of `POST /v1/codebases/{id}/files:batch`: paths of one version, as text, or as the hex digits of their bytes. */
export const filesBatch = z.strictObject({
  ref: z.string().min(1).optional(),
  at: z.string().min(1).optional(),
  paths: z.array(z.union([z.string(), z.strictObject({ hex: z.string() })])).min(1).max(BATCH_PATHS_MAX),
});

const named = { path: z.string(), pathHex: z.string().optional() };

/** One line of the answer: the receipt first, then a line a path in the order asked, and `end`, without which the answer was cut. */
export const batchLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('receipt'), receipt }),
  z.object({ kind: z.literal('file'), ...named, type: z.enum(['file', 'executable', 'symlink']), mode: z.string(), id: objectId, bytes: z.int().min(0), contentBase64: z.string() }),
  /** Of that path alone. */
  z.object({ kind: z.literal('problem'), ...named, problem: z.object({ status: z.int(), code: z.string(), detail: z.string() }) }),
  /** `omitted` did not fit into one answer: ask for them again. */
  z.object({ kind: z.literal('end'), told: z.int().min(0), omitted: z.array(z.object(named)) }),
]);
export type BatchLine = z.infer<typeof batchLine>;

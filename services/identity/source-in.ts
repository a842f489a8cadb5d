import type { Request } from 'express';
import { sourceId, type SourceId } from '#schemas/brand.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Of an address. @throws Problem 404 */
export function sourceIn(request: Request): SourceId {
  const source = sourceId.safeParse(String(request.params['source']).toLowerCase());
  if (source.success) return source.data;
  throw new Problem(404, 'source-unknown', 'The id of a source is a UUID. GET /v1/sources lists them.');
}

import type { Query } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Two streams under one key could not tell of each other: so the key itself is remembered. @throws Problem 422 | Unavailable */
export async function claimKey(query: Query, { actorId, key, digest }: { actorId: string; key: string; digest: string }): Promise<void> {
  const [row] = await query<{ digest: string }>(
    `insert into command_keys (actor, key, digest) values ($1, $2, $3) on conflict (actor, key) do update set key = excluded.key returning digest`, [actorId, key, digest]);
  if (row !== undefined && row.digest !== digest) throw keyReused(key);
}

/** One key, two bodies: one of the two requests is a mistake. */
export function keyReused(key: string): Problem {
  return new Problem(422, 'idempotency-key-reused', `The Idempotency-Key ${JSON.stringify(key)} was used before with another body. Take a new key for a new request.`);
}

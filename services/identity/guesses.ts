import { createHash } from 'node:crypto';
import type { Query } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Ten slips are human; ten in every quarter of an hour are a thousand a day, against 2^70 and more. */
const GUESSES_MAX = 10;
const WINDOW_MS = 15 * 60_000;

export interface GuessDeps { readonly query: Query; now(): Date }

/**
 * Counted before it is looked at, so that no number of guesses at the same time gets past; of names that nobody has likewise,
 * so that nothing is learned by who gets locked. @throws Problem 429 | Unavailable: who cannot be counted does not sign in
 */
export async function countGuess({ query, now }: GuessDeps, name: string): Promise<void> {
  const at = now();
  const [row] = await query<{ failures: number; first_at: Date }>(`insert into identity_guesses as g (name_hash, failures, first_at) values ($1, 1, $2)
    on conflict (name_hash) do update set
      failures = case when g.first_at <= $3 then 1 else g.failures + 1 end,
      first_at = case when g.first_at <= $3 then $2 else g.first_at end
    returning failures, first_at`, [hashOf(name), at, new Date(at.getTime() - WINDOW_MS)]);
  if (row === undefined || row.failures > GUESSES_MAX) {
    const retryAfterS = Math.max(1, Math.ceil(((row?.first_at ?? at).getTime() + WINDOW_MS - at.getTime()) / 1_000));
    throw new Problem(429, 'too-many-guesses', `There were ${GUESSES_MAX} wrong passwords for this name. Ask again in ${retryAfterS} s.`, { retryAfterS });
  }
}

export async function forgetGuesses({ query }: GuessDeps, name: string): Promise<void> {
  await query('delete from identity_guesses where name_hash = $1', [hashOf(name)]);
}

/** Those whose time is over: made-up names must not stay. */
export async function sweepGuesses({ query, now }: GuessDeps): Promise<void> {
  await query('delete from identity_guesses where first_at <= $1', [new Date(now().getTime() - WINDOW_MS)]);
}

const hashOf = (name: string) => createHash('sha256').update(name.toLowerCase()).digest();

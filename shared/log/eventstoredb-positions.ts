import { BEGINNING, type Position } from '#schemas/brand.ts';

/** A place in EventStoreDB's log. Of an event both are equal; of a checkpoint between two events `prepare` is the smaller. */
export interface ServerPosition { readonly commit: bigint; readonly prepare: bigint }

/** What a bigint of 64 bits needs at most. Padded, so that positions compare as text. */
const DIGITS = 20;
/** The server's numbers are signed; it says -1 as 2^64 - 1. */
const GREATEST = 2n ** 63n - 1n;

const padded = (value: bigint) => value.toString().padStart(DIGITS, '0');

/**
 * An event's is its 20 digits. A checkpoint of a filtered subscription may be (P, q) with q < P: behind everything before P, but
 * before an event at P. Kept as P it would pass over that event; so it is written as 40 digits, P - 1 and q, which sort between.
 */
export function positionAt({ commit, prepare }: ServerPosition): Position {
  return (commit === prepare ? padded(commit) : `${padded(commit - 1n)}${padded(prepare)}`) as Position;
}

/** Where to go on after it; undefined before the first fact. A position that no log of ours made is a mistake of the caller. */
export function serverPosition(position: Position): ServerPosition | undefined {
  if (position === BEGINNING) return undefined;
  const match = /^(\d{20})(\d{20})?$/.exec(position);
  if (match === null) throw new TypeError(`${JSON.stringify(position)} is no position of this log`);
  const first = BigInt(match[1] ?? '');
  return match[2] === undefined ? { commit: first, prepare: first } : { commit: first + 1n, prepare: BigInt(match[2]) };
}

/**
 * Undefined when it is none to go on from: a subscription from the start that caught up without giving anything is told the
 * checkpoint (2^64 - 1, 2^64 - 1) by EventStoreDB 24.2. Who saved that would begin at the end, and miss everything until then.
 */
export function checkpointAt({ commit, prepare }: ServerPosition): Position | undefined {
  if (commit > GREATEST || prepare > GREATEST || commit === 0n) return undefined;
  return positionAt({ commit, prepare });
}

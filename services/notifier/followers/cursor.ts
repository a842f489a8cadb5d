import { BEGINNING } from '#schemas/brand.ts';
import { positionOutside } from '#schemas/positions.ts';
import { Problem } from '#shared/runtime/problem.ts';

/** Where a client stands in a feed: behind all groups up to `doneSeq`, and behind `path` in the one after it. */
export interface Place { readonly generation: number; readonly doneSeq: number; readonly path: Buffer | null }

export type Cursor = { readonly kind: 'place'; readonly place: Place } | { readonly kind: 'snapshot'; readonly id: string };

/** `<epoch>-<generation>.<group>.<path in hex, or "done">`: opaque outside. */
export function placeCursor(epoch: string, { generation, doneSeq, path }: Place): string {
  return `${prefixOf(epoch)}${generation}.${path === null ? `${doneSeq}.done` : `${doneSeq + 1}.${path.toString('hex')}`}`;
}

export const snapshotCursor = (epoch: string, id: string) => `${prefixOf(epoch)}snapshot.${id}`;

/** @throws Problem 400 when it is none; 410 when it is of another log. */
export function parseCursor(epoch: string, text: string): Cursor {
  const match = /^([0-9a-f]{8}-)(?:snapshot\.([0-9a-f]{64})|(\d{1,9})\.(\d{1,15})\.(done|(?:[0-9a-f]{2})+))$/.exec(text);
  if (match === null) throw new Problem(400, 'cursor-malformed', 'This is no cursor as entries carry it.');
  const [, prefix, snapshot, generation, seq, path] = match;
  if (prefix !== prefixOf(epoch)) throw new Problem(410, 'cursor-of-another-log', 'This cursor is of a log that was rebuilt or moved since. Ask without after=: the feed goes on behind what was acknowledged.');
  if (snapshot !== undefined) return { kind: 'snapshot', id: snapshot };
  const isDone = path === 'done';
  return { kind: 'place', place: { generation: Number(generation), doneSeq: Number(seq) - (isDone ? 0 : 1), path: isDone ? null : Buffer.from(path ?? '', 'hex') } };
}

/** Below zero when `left` lies before `right`. Paths of files lie in git's trees in the order of their bytes. */
export function comparePlaces(left: Place, right: Place): number {
  if (left.doneSeq !== right.doneSeq) return left.doneSeq - right.doneSeq;
  if (left.path === null || right.path === null) return Number(left.path !== null) - Number(right.path !== null);
  return left.path.compare(right.path);
}

const prefixOf = (epoch: string) => positionOutside(epoch, BEGINNING);

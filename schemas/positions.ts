import { createHash } from 'node:crypto';
import type { Position } from './brand.ts';

/**
 * A position as the outside sees it carries the log's epoch: after the log was rebuilt or moved, an old one is told apart
 * and never continued at the wrong place. `<8 hex of the epoch>-<position>`; before the first fact the position is empty.
 */
export function positionOutside(epoch: string, position: Position): string {
  return `${short(epoch)}-${position}`;
}

export type PositionInside =
  | { readonly kind: 'ok'; readonly position: Position }
  | { readonly kind: 'otherEpoch' }
  | { readonly kind: 'malformed' };

export function positionInside(epoch: string, text: string): PositionInside {
  const match = /^([0-9a-f]{8})-([0-9A-Za-z:_-]{0,100})$/.exec(text);
  if (match === null) return { kind: 'malformed' };
  return match[1] === short(epoch) ? { kind: 'ok', position: match[2] as Position } : { kind: 'otherEpoch' };
}

const short = (epoch: string) => createHash('sha256').update(epoch).digest('hex').slice(0, 8);

import { z } from 'zod';
import type { Position } from '#schemas/brand.ts';
import { TopicUnfit } from './fact-topic.ts';

/** What the relay remembers. True for ever: one that comes late from a stopped process is only older. */
export interface RelayCheckpoint {
  /** Of the log that the positions belong to. */
  readonly epoch: string;
  /** Every fact up to here stands in the topic. */
  readonly position: Position;
  /** By partition: where the next record was to stand, and the highest position known before it. */
  readonly ends: readonly { readonly offset: number; readonly highest: Position }[];
}

const stored = z.object({ epoch: z.string(), position: z.string(), ends: z.array(z.tuple([z.int().min(0), z.string()])) });

export function encodeCheckpoint({ epoch, position, ends }: RelayCheckpoint): string {
  return JSON.stringify({ epoch, position, ends: ends.map(({ offset, highest }) => [offset, highest]) });
}

/** @throws TopicUnfit */
export function decodeCheckpoint(value: Buffer | null, topic: string): RelayCheckpoint {
  let read: unknown;
  try {
    read = JSON.parse(value?.toString() ?? 'null');
  } catch {
    read = undefined;
  }
  const { data } = stored.safeParse(read);
  if (data === undefined) throw new TopicUnfit(`the last record of ${topic} is no checkpoint of the relay: somebody else writes there. Name other topics in TEKAI_KAFKA_URL (…?topics=…)`);
  return { epoch: data.epoch, position: data.position as Position, ends: data.ends.map(([offset, highest]) => ({ offset, highest: highest as Position })) };
}

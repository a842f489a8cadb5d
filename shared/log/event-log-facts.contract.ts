import { randomBytes, randomUUID } from 'node:crypto';
import { streamName, type FactId, type Position, type StreamName } from '#schemas/brand.ts';
import type { Appendable, Batch, EventLog, Recorded } from './event-log.ts';

/** Facts and readers for the suites of the log. Nothing here supposes that a log is empty: a real EventStoreDB is not. */
export function newFact(parts: Partial<Appendable> = {}): Appendable {
  return {
    id: randomUUID() as FactId,
    type: 'contract.checked',
    schemaVersion: 1,
    key: 'contract',
    time: '2026-01-02T03:04:05.678Z',
    actor: { kind: 'worker', id: 'contract' },
    correlationId: 'contract',
    causationId: null,
    data: {},
    ...parts,
  };
}

export const newFacts = (count: number): Appendable[] => Array.from({ length: count }, () => newFact());

/** Streams that only the caller knows: `of('a')` is in no other family. */
export interface Family { readonly prefix: string; of(id: string | number): StreamName }

export function newFamily(): Family {
  const prefix = `${randomBytes(9).toString('hex').replace(/\d/g, (digit) => 'ghijklmnop'[Number(digit)] ?? '')}-`;
  return { prefix, of: (id) => streamName.parse(`${prefix}${id}`) };
}

export interface Taken { readonly facts: readonly Recorded[]; readonly batches: readonly Batch[]; readonly position: Position }

/** Follows the log until `isEnough`, and lets go of it. The test's own time-out says when that never comes. */
export async function follow(
  log: Pick<EventLog, 'subscribe'>,
  options: { readonly after: Position; readonly prefixes?: readonly string[] },
  isEnough: (taken: Taken) => boolean | Promise<boolean>,
): Promise<Taken> {
  const stopping = new AbortController();
  const facts: Recorded[] = [];
  const batches: Batch[] = [];
  try {
    for await (const batch of log.subscribe({ prefixes: [], ...options, signal: stopping.signal })) {
      facts.push(...batch.facts);
      batches.push(batch);
      const taken = { facts, batches, position: batch.position };
      if (await isEnough(taken)) return taken;
    }
    throw new Error('the subscription ended by itself');
  } finally {
    stopping.abort();
  }
}

export const hasFacts = (count: number) => ({ facts }: Taken) => facts.length >= count;
export const isCaughtUp = ({ batches }: Taken) => batches.at(-1)?.isCaughtUp === true;
export const idsOf = (facts: readonly { readonly id: string }[]): string[] => facts.map(({ id }) => id);

/** The fact as it was appended. */
export function withoutPlace({ stream: _stream, revision: _revision, position: _position, ...fact }: Recorded): Appendable {
  return fact;
}

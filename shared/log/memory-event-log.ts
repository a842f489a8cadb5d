import { setTimeout as delay } from 'node:timers/promises';
import { BEGINNING, type Position } from '#schemas/brand.ts';
import { decodeFact, encodeAppend, expectedOf, positionOf, sequenceOf, type EncodedAppend } from './encode-append.ts';
import type { AppendOutcome, Batch, EventLog, Recorded } from './event-log.ts';
import { followPages } from './follow-pages.ts';
import { createLogTurn } from './log-turn.ts';

/** Small, so that tests on this log see a catch-up of several batches. */
const PAGE_FACTS_MAX = 100;

interface Stored { readonly stream: string; readonly revision: number; readonly sequence: number; readonly id: string; readonly json: string }

/** The log of tests, and of whoever wants to look at a service alone. Keeps JSON, so that nobody can change a fact that was appended. */
export function createMemoryEventLog(): EventLog {
  const all: Stored[] = [];
  const streams = new Map<string, Stored[]>();
  const epoch = crypto.randomUUID();
  const turn = createLogTurn();
  const head = (): Position => (all.length === 0 ? BEGINNING : positionOf(all.length));

  return {
    async append(stream, expected, facts) {
      const append = encodeAppend(stream, expected, facts);
      const standing = streams.get(stream) ?? [];
      if (standing.length - 1 !== append.expected) return outcomeOfRetry(append, standing);

      const added = append.facts.map(({ id, json }, index) => ({
        stream, id, json, revision: append.expected + index + 1, sequence: all.length + index + 1,
      }));
      standing.push(...added);
      all.push(...added);
      streams.set(stream, standing);
      turn.advance();
      return { kind: 'appended', revision: append.expected + added.length, position: positionOf(all.length) };
    },

    async readStream(stream, { from = 0, limit }) {
      return (streams.get(stream) ?? []).slice(from, from + limit).map(recordedOf);
    },

    subscribe: (options) => followPages({ readPage, turn, sleep: (ms, signal) => delay(ms, undefined, { signal }) }, options),
    head: async () => head(),
    epoch: async () => epoch,
  };

  async function readPage({ after, prefixes }: { after: Position; prefixes: readonly string[] }): Promise<Batch> {
    const matches = ({ stream }: Stored) => prefixes.length === 0 || prefixes.some((prefix) => stream.startsWith(prefix));
    const matching = all.slice(sequenceOf(after)).filter(matches);
    const page = matching.slice(0, PAGE_FACTS_MAX);
    const isCaughtUp = page.length === matching.length;
    const newest = isCaughtUp ? head() : positionOf(page.at(-1)?.sequence ?? 0);
    return { facts: page.map(recordedOf), isCaughtUp, position: newest > after ? newest : after };
  }
}

/** Refused, unless exactly these ids stand at the revisions that they would have got. */
function outcomeOfRetry({ expected, facts }: EncodedAppend, standing: readonly Stored[]): AppendOutcome {
  const stood = standing.slice(expected + 1, expected + 1 + facts.length);
  const last = stood.at(-1);
  const isRetry = facts.every(({ id }, index) => stood[index]?.id === id);
  if (isRetry && last) return { kind: 'appended', revision: last.revision, position: positionOf(last.sequence) };
  return { kind: 'wrongRevision', actual: expectedOf(standing.length - 1) };
}

function recordedOf({ json, stream, revision, sequence }: Stored): Recorded {
  return decodeFact(json, { stream, revision, position: positionOf(sequence) });
}

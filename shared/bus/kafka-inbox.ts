import type { KafkaMessage } from 'kafkajs';

/** Some 700 facts, of what one fetch brings at most; while so much waits to be taken, no more is fetched of the partition. */
const FETCHES_MAX = 2;

/** What one fetch brought of a partition, and the offset behind it. */
export interface Fetched { readonly messages: readonly KafkaMessage[]; readonly end: number }

/** Between Kafka's client, which must never be kept waiting, and who works through a partition. */
export function createInbox({ pause, resume }: { pause(): void; resume(): void }) {
  const waiting: Fetched[] = [];
  let wake: () => void = () => undefined;
  let isTold = false;
  let isPaused = false;
  let nextOffset: number | undefined;

  /** Something has changed: whoever waits looks again. */
  const tell = () => {
    isTold = true;
    wake();
  };

  return {
    tell,
    /** Where it goes on. Undefined while nothing is wanted. */
    nextOffset: () => nextOffset,
    isPaused: () => isPaused,
    isEmpty: () => waiting.length === 0,
    begin(offset: number): void { nextOffset = offset; },
    /** The topic was made anew, and what was taken last ends there: what waits was fetched behind it. */
    beginAnew(end: number): void { nextOffset = waiting.at(-1)?.end ?? end; },
    end(): void { nextOffset = undefined; },

    put({ messages, end }: Fetched): void {
      if (nextOffset === undefined || (messages.length === 0 && end <= nextOffset)) return;
      // Also what stands below: whether it has come before, or the topic was made anew, its positions say.
      waiting.push({ messages, end });
      nextOffset = Math.max(nextOffset, end);
      if (waiting.length >= FETCHES_MAX && !isPaused) {
        isPaused = true;
        pause();
      }
      tell();
    },

    take(): Fetched | undefined {
      isTold = false;
      const next = waiting.shift();
      if (isPaused && waiting.length === 0) {
        isPaused = false;
        resume();
      }
      return next;
    },

    /** Until something was told since the last `take`, or the signal aborts. */
    untilTold(signal: AbortSignal): Promise<void> {
      if (isTold || signal.aborted || waiting.length > 0) return Promise.resolve();
      return new Promise((resolve) => {
        wake = () => { signal.removeEventListener('abort', wake); resolve(); };
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}

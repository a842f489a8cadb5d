import type { Writable } from 'node:stream';

/** A reader that has not taken 256 KiB in this time is slower than 35 kbit/s. */
const DRAIN_MS_MAX = 60_000;

/** Waits until what was written to a stream is taken. False when it took too long; true too when the stream is closed. */
export function untilDrained(stream: Pick<Writable, 'once' | 'off'>, { msMax = DRAIN_MS_MAX } = {}): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isDone: boolean) => {
      clearTimeout(late);
      stream.off('drain', done);
      stream.off('close', done);
      resolve(isDone);
    };
    const done = () => finish(true);
    const late = setTimeout(() => finish(false), msMax);
    stream.once('drain', done);
    stream.once('close', done);
  });
}

import type { ServerResponse } from 'node:http';

/** How a body is spoilt: sent slowly, or cut off. Both count the bytes of the body, not of the headers. */
export interface BodyShape {
  bytesPerSecond?: number;
  cutAfterBytes?: number;
}

/** What a slow body may hold back in memory before its writer is asked to wait. */
const WAITING_BYTES_MAX = 256 * 1024;
const TICK_MS = 50;

/** Puts itself between the endpoint and the socket, so that every endpoint, git included, can be slowed or cut. */
export function shapeBody(response: ServerResponse, shape: BodyShape): void {
  const write = response.write.bind(response) as (chunk: Buffer) => boolean;
  const end = response.end.bind(response) as () => void;
  const tickBytes = shape.bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor((shape.bytesPerSecond * TICK_MS) / 1_000));
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let isEnding = false;
  let left = shape.cutAfterBytes ?? Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;

  const cut = (): void => {
    if (timer) clearInterval(timer);
    // Given a moment of its own, else the bytes written last are thrown away with the socket.
    setImmediate(() => response.socket?.destroySoon());
  };
  const sendSome = (): void => {
    const all = Buffer.concat(waiting);
    const some = all.subarray(0, Math.min(tickBytes, left));
    waiting = all.length > some.length ? [all.subarray(some.length)] : [];
    waitingBytes = all.length - some.length;
    left -= some.length;
    if (some.length > 0) write(some);
    if (left <= 0) return cut();
    if (waitingBytes === 0 && isEnding) {
      if (timer) clearInterval(timer);
      end();
    } else if (waitingBytes < WAITING_BYTES_MAX) response.emit('drain');
  };
  const schedule = (): void => {
    if (tickBytes === Number.POSITIVE_INFINITY) sendSome();
    else timer ??= setInterval(sendSome, TICK_MS);
  };
  const take = (chunk: unknown, encoding: unknown): void => {
    if (chunk === undefined || chunk === null || typeof chunk === 'function') return;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8') : Buffer.from(chunk as Buffer);
    waiting.push(bytes);
    waitingBytes += bytes.length;
  };
  response.write = ((chunk: unknown, encoding?: unknown) => {
    take(chunk, encoding);
    schedule();
    return waitingBytes < WAITING_BYTES_MAX;
  }) as typeof response.write;
  response.end = ((chunk?: unknown, encoding?: unknown) => {
    take(chunk, encoding);
    isEnding = true;
    schedule();
    return response;
  }) as typeof response.end;
  response.once('close', () => {
    if (timer) clearInterval(timer);
  });
}

import { WebSocket, type RawData } from 'ws';
import { serverFrame } from '#schemas/api/live.ts';
import type { ClientFrame, ServerFrame } from '#schemas/live/frames.ts';
import { reasonOf } from './api-errors.ts';

export type LiveSocketEnd =
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string; readonly cause: unknown }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'notUnderstood'; readonly detail: string };

export interface LiveSocket {
  /** Frames in order, until the connection ends. */
  readonly frames: AsyncIterable<ServerFrame>;
  readonly ended: Promise<LiveSocketEnd>;
  close(): void;
}

const CONNECT_MS_MAX = 10_000;
/** Pings come every `pingMs`; two may be late before the line counts as dead. */
const PINGS_MISSED_MAX = 2;
/** Frames that nobody took yet; then the socket is not read until they are. */
const WAITING_FRAMES_MAX = 1_000;
/** A peer that does not answer our close is cut. */
const CLOSE_MS_MAX = 500;

/** One connection: connects, subscribes, hands the frames over. What its end means is for the caller to say. */
export function openLiveSocket(options: { url: string; token: string | undefined; channel: string; since: string | undefined; signal: AbortSignal }): LiveSocket {
  const socket = new WebSocket(`${options.url.replace(/^http/, 'ws')}/v1/live`, { handshakeTimeout: CONNECT_MS_MAX, perMessageDeflate: false });
  const waiting: ServerFrame[] = [];
  let wake = () => {};
  let end: LiveSocketEnd | undefined;
  let silence: NodeJS.Timeout | undefined;
  let silenceMsMax = CONNECT_MS_MAX;
  let tellEnded: (end: LiveSocketEnd) => void;
  const ended = new Promise<LiveSocketEnd>((resolve) => { tellEnded = resolve; });

  const say = (frame: ClientFrame) => socket.send(JSON.stringify(frame));
  const finish = (why: LiveSocketEnd) => {
    if (end !== undefined) return;
    end = why;
    clearTimeout(silence);
    options.signal.removeEventListener('abort', close);
    tellEnded(why);
    wake();
  };
  const listenForSilence = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      finish({ kind: 'closed', code: 1_006, reason: `the engine was silent for ${silenceMsMax / 1_000} s` });
      socket.terminate();
    }, silenceMsMax);
  };

  function onFrame(frame: ServerFrame): void {
    if (frame.op === 'connected') {
      silenceMsMax = frame.pingMs * (PINGS_MISSED_MAX + 1);
      listenForSilence();
      say({ op: 'subscribe', ch: options.channel, ...(options.since === undefined ? {} : { since: options.since }) });
    }
    waiting.push(frame);
    if (waiting.length >= WAITING_FRAMES_MAX) { socket.pause(); clearTimeout(silence); }
    wake();
  }

  function close(): void {
    finish({ kind: 'closed', code: 1_000, reason: 'closed by us' });
    if (socket.readyState === WebSocket.CLOSED) return;
    socket.close(1_000);
    const cut = setTimeout(() => socket.terminate(), CLOSE_MS_MAX);
    socket.once('close', () => clearTimeout(cut));
  }

  socket.on('open', () => { listenForSilence(); say({ op: 'connect', v: 1, token: options.token ?? '' }); });
  socket.on('ping', listenForSilence);
  socket.on('message', (bytes: RawData) => {
    if (end !== undefined) return;
    listenForSilence();
    const parsed = parse(bytes);
    if (typeof parsed !== 'string') { onFrame(parsed); return; }
    finish({ kind: 'notUnderstood', detail: parsed });
    socket.terminate();
  });
  socket.on('unexpected-response', (request, response) => {
    finish({ kind: 'refused', status: response.statusCode ?? 0 });
    request.destroy();
  });
  socket.on('error', (error) => finish({ kind: 'unreachable', reason: reasonOf(error), cause: error }));
  socket.on('close', (code, reason) => finish({ kind: 'closed', code, reason: reason.toString('utf8') }));
  options.signal.addEventListener('abort', close);
  if (options.signal.aborted) close();

  async function* frames(): AsyncGenerator<ServerFrame> {
    for (;;) {
      for (let frame = waiting.shift(); frame !== undefined; frame = waiting.shift()) {
        if (socket.isPaused && waiting.length < WAITING_FRAMES_MAX / 2) { socket.resume(); listenForSilence(); }
        yield frame;
      }
      if (end !== undefined) return;
      await new Promise<void>((resolve) => { wake = resolve; });
    }
  }

  return { frames: frames(), ended, close };
}

function parse(bytes: RawData): ServerFrame | string {
  try {
    const parsed = serverFrame.safeParse(JSON.parse((bytes as Buffer).toString('utf8')));
    return parsed.success ? parsed.data : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  } catch (error) {
    return reasonOf(error);
  }
}

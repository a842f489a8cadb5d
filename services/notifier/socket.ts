import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { clientFrame, type ClientFrame, type ServerFrame } from '#schemas/live/frames.ts';
import { mayAsk, stillSees } from '#shared/access/guard.ts';
import { NOT_KNOWN, type RefusedOnSocket } from '#shared/audit/note-refusals.ts';
import { socketCallerOf, type Access, type Principal } from '#shared/runtime/access.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { openSubscription, type OpenDeps } from './open-subscription.ts';
import { untilDrained } from './patience.ts';
import { socketPub } from './pub-frame.ts';
import type { Line, Subscription } from './subscription.ts';

/** Progress is for who is there to see it. */
export const PROGRESS_BACKLOG_BYTES_MAX = 64 * 1_024;
const CONNECT_MS_MAX = 10_000;
export const PING_MS = 25_000;
export const CHANNELS_MAX = 200;
/** Of frames that wait for those before them: some thousand subscriptions. */
const WAITING_BYTES_MAX = 256 * 1_024;

/** 4000–4499: come back, with the position; 4500–4999: do not, mend it first. */
export const CLOSE = { restarting: 4_001, tooSlow: 4_008, notAuthenticated: 4_501, malformed: 4_502, notAllowed: 4_503 } as const;

/** To who may not be here, or not any more. */
export const GONE = { over: 'what you signed in with is over; connect with a new token', less: 'this is not for you' } as const;
/** Of a channel that somebody may no longer listen to: what came before was theirs. */
export const LOST = { code: 'access-lost', detail: 'You may no longer listen to this: nothing more is told. It can be asked for again when you may.' } as const;

export interface LiveDeps extends OpenDeps {
  readonly access: Access;
  readonly logger: Logger;
}

/** What lies below the WebSocket: facts are written to it as whole frames, which all sockets share. */
export type Wire = Pick<Duplex, 'write' | 'cork' | 'uncork' | 'once' | 'off'>;

export interface LiveSocket {
  close(code: number, reason: string): void;
  /** Lets go of who may not be here any more. */
  recheck(): Promise<void>;
}

/** Speaks the live protocol with one client. */
export function serveSocket(deps: LiveDeps, { socket, wire, principal, refused }: { socket: WebSocket; wire: Wire; principal: Principal | undefined; refused: RefusedOnSocket }): LiveSocket {
  const subscriptions = new Map<string, Subscription>();
  const closing = new AbortController();
  let caller: Principal | undefined;
  let isCorked = false;
  const lateFrame = setTimeout(() => { if (caller === undefined) socket.close(CLOSE.notAuthenticated, 'send a connect frame within 10 s'); }, CONNECT_MS_MAX);
  // One frame after the other: a subscribe that reads must not be overtaken by the next.
  let turn = Promise.resolve();
  let waitingBytes = 0;

  socket.on('message', (message: Buffer) => {
    waitingBytes += message.length;
    if (waitingBytes > WAITING_BYTES_MAX) { letGo(CLOSE.malformed, 'too many frames at once: wait for the answers'); return; }
    turn = turn.then(() => onMessage(message)).catch((error: unknown) => {
      deps.logger.warn({ error }, 'a live socket failed');
      letGo(CLOSE.restarting, 'something we depend on is away; come back');
    }).then(() => { waitingBytes -= message.length; });
  });
  socket.on('close', () => { clearTimeout(lateFrame); endAll(); });
  socket.on('error', (error) => deps.logger.debug({ error }, 'a live socket broke'));
  if (principal !== undefined) greet(principal);

  return { close: letGo, recheck };

  async function onMessage(message: Buffer): Promise<void> {
    if (closing.signal.aborted) return;
    const frame = parse(message);
    if (frame === undefined) { letGo(CLOSE.malformed, 'not a frame of protocol version 1'); return; }
    if (frame.op === 'connect') { greet(await socketCallerOf(deps.access, frame.token), frame.token); return; }
    if (caller === undefined) { refused(undefined, NOT_KNOWN); letGo(CLOSE.notAuthenticated, 'connect first'); return; }
    if (frame.op === 'unsubscribe') { end(frame.ch); send({ op: 'unsubscribed', ch: frame.ch }); return; }
    await subscribe(frame, caller);
  }

  async function recheck(): Promise<void> {
    const may = caller === undefined ? 'yes' : await stillSees(deps.access, caller, 'WS /v1/live');
    if (may !== 'yes') letGo(may === 'over' ? CLOSE.notAuthenticated : CLOSE.notAllowed, GONE[may]);
  }

  function greet(found: Principal | undefined, token?: string): void {
    if (found === undefined) { refused(undefined, { ...NOT_KNOWN, token }); letGo(CLOSE.notAuthenticated, 'this token is not known'); return; }
    // What was subscribed is looked after by who subscribed it.
    if (subscriptions.size > 0) { letGo(CLOSE.malformed, 'say who you are once, before you subscribe'); return; }
    if (!mayAsk(found, 'WS /v1/live')) { refused(found, { code: 'not-allowed' }); letGo(CLOSE.notAllowed, GONE.less); return; }
    caller = found;
    send({ op: 'connected', v: 1, pingMs: PING_MS, limits: { channels: CHANNELS_MAX, catchUpFacts: deps.limits.catchUpFacts } });
  }

  async function subscribe({ ch, since }: Extract<ClientFrame, { op: 'subscribe' }>, principal: Principal): Promise<void> {
    if (subscriptions.size >= CHANNELS_MAX && !subscriptions.has(ch)) { send({ op: 'error', code: 'too-many-channels', detail: `A socket has at most ${CHANNELS_MAX} channels.`, ch }); return; }
    end(ch);
    const opened = await openSubscription(deps, { channels: [ch], since, line: lineOf(ch), principal });
    if (opened.kind === 'refused') { refused(principal, { ...opened.problem, target: ch.slice(ch.indexOf(':') + 1) }); send({ op: 'error', code: opened.problem.code, detail: opened.problem.detail, ch }); return; }
    const { subscription, recovered } = opened;
    if (closing.signal.aborted) { subscription.end(); return; }
    subscriptions.set(ch, subscription);
    send({ op: 'subscribed', ch, position: subscription.position(), recovered });
    await subscription.catchUp(closing.signal);
  }

  function lineOf(ch: string): Line {
    const channel = JSON.stringify(ch);
    return {
      pub(_fact, { previous, frames }) {
        if (!hasRoom(previous)) return;
        // What one turn brings goes out as one write.
        if (!isCorked) { isCorked = true; wire.cork(); process.nextTick(uncork); }
        wire.write(frames(socketPub, channel, previous));
      },
      progress: (_channels, progress) => { if (socket.bufferedAmount <= PROGRESS_BACKLOG_BYTES_MAX) send({ op: 'progress', ch, progress }); },
      lost() { end(ch); send({ op: 'error', ...LOST, ch }); },
      isBehind: () => socket.bufferedAmount > deps.limits.behindBytes && !closing.signal.aborted,
      async drained() {
        if (!(await untilDrained(wire))) letGo(CLOSE.tooSlow, `too slow; resume after ${subscriptions.get(ch)?.position() ?? 'where you stand'}`);
      },
    };
  }

  function uncork(): void { isCorked = false; wire.uncork(); }

  function send(frame: ServerFrame): void {
    if (socket.readyState === socket.OPEN && hasRoom(undefined)) socket.send(JSON.stringify(frame));
  }

  /** Whether more may be written. A reader too slow is told where to go on: behind what was written, then the close frame, comes nothing. */
  function hasRoom(resume: string | undefined): boolean {
    if (closing.signal.aborted || socket.readyState !== socket.OPEN) return false;
    if (socket.bufferedAmount <= deps.limits.backlogBytes) return true;
    letGo(CLOSE.tooSlow, `too slow; resume after ${resume ?? 'where you stand'}`);
    return false;
  }

  function letGo(code: number, reason: string): void {
    endAll();
    // ws sends the close frame behind what is written, and gives the client 30 s to take it.
    socket.close(code, reason);
  }

  function end(ch: string): void {
    subscriptions.get(ch)?.end();
    subscriptions.delete(ch);
  }

  function endAll(): void {
    closing.abort();
    for (const ch of [...subscriptions.keys()]) end(ch);
  }
}

function parse(message: Buffer): ClientFrame | undefined {
  try {
    return clientFrame.parse(JSON.parse(message.toString('utf8')));
  } catch {
    return undefined;
  }
}

import type { WebSocket } from 'ws';
import { followerClientFrame, type FollowerClientFrame, type FollowerServerFrame } from '#schemas/live/follower-frames.ts';
import type { Actor } from '#schemas/events/fact.ts';
import { mayAsk, stillMay } from '#shared/access/guard.ts';
import { NOT_KNOWN, type RefusedOnSocket } from '#shared/audit/note-refusals.ts';
import { socketCallerOf, type Access, type Principal } from '#shared/runtime/access.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { acknowledge } from './acknowledge.ts';
import { parseCursor, placeCursor } from './cursor.ts';
import { nextPage } from './feed.ts';
import { findFollower } from './follower-store.ts';
import type { Follower } from './follower-rows.ts';
import { hasNews, untilChanged, type WaitDeps } from './wait-for-news.ts';

export interface FollowerSocketDeps extends WaitDeps {
  readonly access: Access;
  readonly logger: Logger;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** As of the live sockets: 4000–4499: come back; 4500–4999: do not, mend it first. */
export const CLOSE = { restarting: 4_001, tooSlow: 4_008, notAuthenticated: 4_501, malformed: 4_502, refused: 4_503 } as const;
export const PING_MS = 25_000;

/** Told and not acknowledged: what a client that dies is told again, and what a slow one keeps us from making. */
const IN_FLIGHT_MAX = 5_000;
/** A frame holds this many at most: some 300 KB. */
const ENTRIES_A_FRAME_MAX = 1_000;
/** A client that does not read is let go: 4 MiB are some 15,000 entries. */
const BACKLOG_BYTES_MAX = 4 * 1_048_576;
/** With all of them in flight and none acknowledged for so long, nobody is at work there. */
const ACK_MS_MAX = 120_000;
const CONNECT_MS_MAX = 10_000;
/** Of frames that wait for those before them: some 15,000 acknowledgements, three for each entry in flight. */
const WAITING_BYTES_MAX = 4 * 1_048_576;
const QUIET_MS_MAX = 30_000;

/** Speaks the followers' protocol with one client: one follower, entries pushed, acknowledgements taken. */
export function serveFollower(deps: FollowerSocketDeps, socket: WebSocket, { principal, refused, pingMs }: { principal: Principal | undefined; refused: RefusedOnSocket; pingMs: number }): { recheck(): Promise<void> } {
  const closing = new AbortController();
  let actor: Actor | undefined;
  let shown: Principal | undefined;
  let follower: Follower | undefined;
  /** Cursors of what was told and not acknowledged, oldest first. */
  let inFlight: string[] = [];
  let wake = () => {};
  let turn = Promise.resolve();
  let waitingBytes = 0;

  socket.on('close', () => { closing.abort(); wake(); });
  socket.on('error', (error) => deps.logger.debug({ error }, 'a follower socket broke'));
  socket.on('message', (message: Buffer) => {
    waitingBytes += message.length;
    // Counted for ever: nothing of what comes behind is kept either.
    if (waitingBytes > WAITING_BYTES_MAX) { socket.close(CLOSE.refused, 'too many frames at once: the last acknowledgement says it all'); return; }
    turn = turn.then(() => onMessage(message)).catch(giveUp).then(() => { waitingBytes -= message.length; });
  });
  void deps.sleep(CONNECT_MS_MAX, closing.signal).then(() => { if (actor === undefined) socket.close(CLOSE.notAuthenticated, 'send a connect frame within 10 s'); });
  if (principal !== undefined) greet(principal);

  return { recheck };

  async function onMessage(message: Buffer): Promise<void> {
    const frame = parse(message);
    if (frame === undefined) { socket.close(CLOSE.malformed, 'not a frame of protocol version 1'); return; }
    if (frame.op === 'connect') {
      const caller = await socketCallerOf(deps.access, frame.token);
      if (caller === undefined) { refused(undefined, { ...NOT_KNOWN, token: frame.token }); socket.close(CLOSE.notAuthenticated, 'this token is not known'); } else greet(caller);
      return;
    }
    if (actor === undefined) { refused(undefined, NOT_KNOWN); socket.close(CLOSE.notAuthenticated, 'connect first'); return; }
    if (frame.op === 'ack') { await onAck(frame.cursor); return; }
    if (follower !== undefined) { socket.close(CLOSE.malformed, 'a socket has one follower'); return; }
    follower = await findFollower(deps.pool, actor, frame.name);
    // Not waited for: acknowledgements come in meanwhile.
    void pump(follower, frame.after).catch(giveUp);
  }

  async function onAck(cursor: string): Promise<void> {
    if (follower === undefined) { socket.close(CLOSE.malformed, 'follow first'); return; }
    const { place } = await acknowledge(deps.pool, follower.id, { cursor: parseCursor(deps.epoch, cursor), now: deps.now() });
    const at = inFlight.lastIndexOf(cursor);
    if (at >= 0) inFlight = inFlight.slice(at + 1);
    send({ op: 'acknowledged', cursor: placeCursor(deps.epoch, place) });
    wake();
  }

  async function pump({ id, actor: owner }: Follower, from: string | undefined): Promise<void> {
    let after = from;
    let isEndTold = false;
    while (!closing.signal.aborted) {
      const room = IN_FLIGHT_MAX - inFlight.length;
      if (room <= 0) { await untilAcknowledged(); continue; }
      const page = await nextPage(deps, id, { after: after === undefined ? undefined : parseCursor(deps.epoch, after), limit: Math.min(room, ENTRIES_A_FRAME_MAX), signal: closing.signal });
      if (!hasNews(page) && (isEndTold || page.entries.length === 0)) {
        await untilChanged(deps, owner, { seen: page.seen, ms: QUIET_MS_MAX, signal: closing.signal });
        continue;
      }
      if (socket.bufferedAmount > BACKLOG_BYTES_MAX) { socket.close(CLOSE.tooSlow, 'too slow: read faster, and come back'); return; }
      send({ op: 'entries', entries: [...page.entries] });
      inFlight.push(...page.entries.map((entry) => entry.cursor));
      after = page.cursor;
      isEndTold = page.entries.at(-1)?.op === 'end';
    }
  }

  async function untilAcknowledged(): Promise<void> {
    const acknowledged = new AbortController();
    wake = () => acknowledged.abort();
    await deps.sleep(ACK_MS_MAX, acknowledged.signal);
    if (!acknowledged.signal.aborted) socket.close(CLOSE.tooSlow, `too slow: ${IN_FLIGHT_MAX} entries wait to be acknowledged`);
  }

  async function recheck(): Promise<void> {
    const may = shown === undefined ? 'yes' : await stillMay(deps.access, shown, 'WS /v1/followers/live');
    if (may === 'over') socket.close(CLOSE.notAuthenticated, 'what you signed in with is over; connect with a new token');
    else if (may === 'less') socket.close(CLOSE.refused, 'this is not for you any more');
  }

  function greet(caller: Principal): void {
    if (!mayAsk(caller, 'WS /v1/followers/live')) { refused(caller, { code: 'not-allowed' }); socket.close(CLOSE.refused, 'this is not for you'); return; }
    actor = caller.actor;
    shown = caller;
    send({ op: 'connected', v: 1, pingMs, inFlightMax: IN_FLIGHT_MAX });
  }

  function giveUp(error: unknown): void {
    if (closing.signal.aborted) return;
    if (error instanceof Problem && error.status < 500) {
      send({ op: 'error', code: error.code, detail: error.detail });
      socket.close(CLOSE.refused, error.code);
      return;
    }
    deps.logger.warn({ error }, 'a follower socket failed');
    socket.close(CLOSE.restarting, 'something we depend on is away; come back');
  }

  function send(frame: FollowerServerFrame): void {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
  }
}

function parse(message: Buffer): FollowerClientFrame | undefined {
  try {
    return followerClientFrame.parse(JSON.parse(message.toString('utf8')));
  } catch {
    return undefined;
  }
}

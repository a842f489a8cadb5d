import { Router, type Request, type Response } from 'express';
import { channel } from '#schemas/live/frames.ts';
import type { StreamEvents } from '#schemas/live/frames.ts';
import { stillSees } from '#shared/access/guard.ts';
import { mustBeKnown, requireAccess, type Principal } from '#shared/runtime/access.ts';
import { mapBounded } from '#shared/runtime/map-bounded.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { openSubscription } from './open-subscription.ts';
import { untilDrained } from './patience.ts';
import { streamPub } from './pub-frame.ts';
import { CHANNELS_MAX, LOST, PROGRESS_BACKLOG_BYTES_MAX, type LiveDeps } from './socket.ts';
import type { Line, LiveLimits, Subscription } from './subscription.ts';

/** Each is a connection, and up to 4 MiB of a reader that is slow. */
const STREAMS_MAX = 1_000;
/** Each may ask the database: once for all streams of one sign-in. */
const RECHECKED_AT_ONCE = 4;
/** Proxies cut what is silent for a minute; many for half of one. */
const HEARTBEAT_MS = 15_000;
/** A reader that was let go may take what was written in this time. */
const LINGER_MS_MAX = 30_000;
/** Clients that are sent away together must not come back in step: 1 to 5 s, by turns. */
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_STEP = 100;
const RETRY_STEPS = 40;

interface Stream { letGo(code: string, detail: string): void; beat(): void; readonly principal: Principal }

export interface EventStreams {
  readonly routes: Router;
  /** Lets go of who may not be here any more. */
  recheck(): Promise<void>;
  /** Tells every reader to come back, and takes no new ones. */
  stop(): void;
}

/** `GET /v1/live`: the live protocol for those who cannot do WebSockets. */
export function createEventStreams(deps: LiveDeps): EventStreams {
  const streams = new Set<Stream>();
  let isStopping = false;
  let letGoSoFar = 0;
  const beating = setInterval(() => { for (const stream of streams) stream.beat(); }, HEARTBEAT_MS);
  beating.unref();
  const routes = Router();
  routes.get('/v1/live', requireAccess(deps.access), onRequest);

  return {
    routes,
    async recheck() {
      await mapBounded([...streams], RECHECKED_AT_ONCE, async (stream) => {
        if (await stillSees(deps.access, stream.principal, 'GET /v1/live') !== 'yes') stream.letGo('not-authenticated', 'What you signed in with is over, or not enough any more.');
      });
    },
    stop() {
      isStopping = true;
      clearInterval(beating);
      for (const stream of [...streams]) stream.letGo('restarting', 'The engine is stopping; come back.');
    },
  };

  async function onRequest(request: Request, response: Response): Promise<void> {
    const channels = channelsOf(request);
    if (isStopping || streams.size >= STREAMS_MAX) throw new Problem(503, 'too-many-streams', `This engine serves ${STREAMS_MAX} live streams at a time, and none while it stops. Ask again; or use the WebSocket at this address.`, { retryAfterS: 5 });
    if (request.method === 'HEAD') { writeHead(response); response.end(); return; }
    const stream = createStream(response, { principal: mustBeKnown(response), limits: deps.limits, retryMs: () => RETRY_MS_FIRST + RETRY_MS_STEP * (letGoSoFar++ % RETRY_STEPS) });
    streams.add(stream);
    response.once('close', () => { streams.delete(stream); stream.end(); });
    try {
      const opened = await openSubscription(deps, { channels, since: sinceOf(request), line: stream.line, principal: stream.principal });
      if (opened.kind === 'refused') throw opened.problem;
      writeHead(response);
      stream.begin(opened.subscription, { channels, recovered: opened.recovered });
    } catch (error) {
      streams.delete(stream);
      throw error;
    }
    await stream.catchUp().catch((error: unknown) => {
      deps.logger.warn({ error }, 'a live stream failed');
      stream.letGo('dependency-away', 'Something we depend on is away; come back.');
    });
  }
}

/** One reader. Its events are the frames of one subscription. */
function createStream(response: Response, { principal, limits, retryMs }: { principal: Principal; limits: LiveLimits; retryMs(): number }) {
  const closing = new AbortController();
  let subscription: Subscription | undefined;
  let isCorked = false;

  const line: Line = {
    pub(_fact, { channels, previous, frames }) {
      if (closing.signal.aborted) return;
      // `previous` is the place of the last event written: this one is not.
      if (response.writableLength > limits.backlogBytes) { letGo('too-slow', 'You read slower than facts come. Go on after this position.', previous); return; }
      write(frames(streamPub, JSON.stringify(channels), previous));
    },
    progress(channels, progress) {
      if (response.writableLength <= PROGRESS_BACKLOG_BYTES_MAX) write(eventOf('progress', { channels, progress }));
    },
    lost: (channel) => letGo(LOST.code, `${channel}: ${LOST.detail}`),
    isBehind: () => response.writableLength > limits.behindBytes && !closing.signal.aborted,
    async drained() {
      if (!(await untilDrained(response))) letGo('too-slow', 'You read slower than facts come. Go on after this position.');
    },
  };

  return {
    line, letGo, end, principal,
    begin(opened: Subscription, { channels, recovered }: { channels: readonly string[]; recovered: boolean }): void {
      subscription = opened;
      if (closing.signal.aborted) { opened.end(); return; }
      const position = opened.position();
      write(`id: ${position}\n${eventOf('subscribed', { channels, position, recovered })}`);
    },
    catchUp: async () => { await subscription?.catchUp(closing.signal); },
    // A comment: no event, but proxies see that somebody is there.
    beat: () => { if (response.headersSent) write(':\n\n'); },
  };

  function write(text: string | Buffer): void {
    if (closing.signal.aborted || response.writableEnded) return;
    // What one turn brings goes out as one write.
    if (!isCorked) { isCorked = true; response.cork(); process.nextTick(uncork); }
    response.write(text);
  }

  function uncork(): void {
    isCorked = false;
    response.uncork();
  }

  function letGo(code: string, detail: string, resume = subscription?.position()): void {
    if (closing.signal.aborted) return;
    end();
    if (!response.headersSent || resume === undefined) { response.destroy(); return; }
    response.write(`retry: ${retryMs()}\n${eventOf('error', { code, detail, position: resume })}`);
    response.end();
    const late = setTimeout(() => response.destroy(), LINGER_MS_MAX);
    late.unref();
    response.once('close', () => clearTimeout(late));
  }

  function end(): void {
    closing.abort();
    subscription?.end();
  }
}

function eventOf<Name extends keyof StreamEvents>(name: Name, data: StreamEvents[Name]): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function writeHead(response: Response): void {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    // no-transform: compression would hold events back until a block is full.
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
  });
  response.flushHeaders();
}

function channelsOf(request: Request): string[] {
  const given = [request.query['ch'] ?? []].flat();
  const channels = [...new Set(given.map(String))];
  if (channels.length === 0) throw new Problem(400, 'channel-missing', 'Say what to listen to: ch=all, ch=codebase:<id> or ch=project:<id>, as often as you like.');
  if (channels.length > CHANNELS_MAX) throw new Problem(400, 'too-many-channels', `A stream has at most ${CHANNELS_MAX} channels.`);
  const wrong = channels.find((one) => !channel.safeParse(one).success);
  if (wrong !== undefined) throw new Problem(400, 'channel-malformed', 'ch= takes "all", "codebase:<id>" or "project:<id>".');
  return channels;
}

/** A browser that comes back repeats the address, and names in the header where it stands. */
function sinceOf(request: Request): string | undefined {
  const header = request.headers['last-event-id'];
  if (typeof header === 'string' && header !== '') return header;
  const since = request.query['since'];
  if (since === undefined || typeof since === 'string') return since;
  throw new Problem(400, 'position-malformed', 'since= is given once.');
}

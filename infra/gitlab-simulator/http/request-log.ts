import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** One request as it was seen. Bytes are those of the socket, headers included. */
export interface SeenRequest {
  id: number;
  at: string;
  method: string;
  path: string;
  tokenId: number | null;
  userAgent: string;
  gitService: string | null;
  status: number | null;
  isCut: boolean;
  faultId: number | null;
  bytesIn: number;
  bytesOut: number;
  milliseconds: number;
}

export interface RequestLog {
  begin(request: IncomingMessage, response: ServerResponse): SeenRequest;
  list(filter: { path?: RegExp; method?: string }): SeenRequest[];
  count(): number;
  clear(): void;
}

/** Older ones are forgotten; a test that needs more clears the log between its steps. */
const REQUESTS_KEPT_MAX = 20_000;

export function createRequestLog(now: () => Date): RequestLog {
  let seen: SeenRequest[] = [];
  let nextId = 1;
  const counted = new WeakMap<Socket, { read: number; written: number }>();
  return {
    begin: (request, response) => {
      const socket = request.socket;
      const entry = emptyEntry(nextId++, now(), request);
      const started = performance.now();
      seen.push(entry);
      if (seen.length > REQUESTS_KEPT_MAX) seen = seen.slice(-REQUESTS_KEPT_MAX / 2);
      response.once('close', () => {
        // Keep-alive sockets carry many requests: this one is what came since the last.
        const before = counted.get(socket) ?? { read: 0, written: 0 };
        const after = { read: socket.bytesRead, written: socket.bytesWritten };
        counted.set(socket, after);
        entry.bytesIn = after.read - before.read;
        entry.bytesOut = after.written - before.written;
        entry.milliseconds = performance.now() - started;
        entry.isCut = !response.writableFinished;
        entry.status = response.headersSent ? response.statusCode : null;
      });
      return entry;
    },
    list: ({ path, method }) => seen.filter((entry) => (!path || path.test(entry.path)) && (method === undefined || entry.method === method)),
    count: () => seen.length,
    clear: () => {
      seen = [];
    },
  };
}

function emptyEntry(id: number, at: Date, request: IncomingMessage): SeenRequest {
  return {
    id,
    at: at.toISOString(),
    method: request.method ?? '',
    path: request.url ?? '',
    tokenId: null,
    userAgent: request.headers['user-agent'] ?? '',
    gitService: null,
    status: null,
    isCut: false,
    faultId: null,
    bytesIn: 0,
    bytesOut: 0,
    milliseconds: 0,
  };
}

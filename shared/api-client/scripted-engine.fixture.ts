import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import type { ClientFrame, ServerFrame } from '#schemas/live/frames.ts';

export interface AskedOf { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }

export interface ScriptedEngine {
  readonly url: string;
  /** Every HTTP request, in order. */
  readonly asked: AskedOf[];
  /** Answers `METHOD /path?query` exactly; what has no answer is a 404 problem. */
  answer(what: string, body: unknown, options?: { status?: number; headers?: Record<string, string> }): void;
  answerBy(what: string, handler: (request: IncomingMessage, response: ServerResponse) => void): void;
  /** Speaks with each live socket, once it subscribed: the n-th gets the n-th script, and the last one those after it. */
  live(...scripts: LiveScript[]): void;
  /** The `since` of each subscription. */
  readonly subscribed: (string | undefined)[];
  /** Live sockets that are open. */
  sockets(): number;
  stop(): Promise<void>;
}

export type LiveScript = (line: { send(frame: ServerFrame): void; raw(text: string): void; close(code: number, reason?: string): void; cut(): void; since: string | undefined; ch: string }) => void;

export const TOKEN = 'tekai_test-token';

/** An HTTP server that answers what a test says, and nothing else. */
export async function scriptedEngine({ port = 0 } = {}): Promise<ScriptedEngine> {
  const answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  const asked: AskedOf[] = [];
  const subscribed: (string | undefined)[] = [];
  const scripts: LiveScript[] = [];
  const sockets = new Set<WebSocket>();

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(pieces).toString('utf8') });
      const answer = answers.get(`${request.method} ${request.url}`);
      if (answer !== undefined) { answer(request, response); return; }
      send(response, { type: 'about:blank', title: 'Not found', status: 404, code: 'not-scripted', detail: `The test has no answer for ${request.method} ${request.url}.` }, { status: 404, headers: { 'content-type': 'application/problem+json' } });
    });
  });
  const live = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (scripts.length === 0) { socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n'); return; }
    live.handleUpgrade(request, socket, head, (ws) => { sockets.add(ws); ws.on('close', () => sockets.delete(ws)); speak(ws); });
  });

  function speak(ws: WebSocket): void {
    const script = scripts.length > 1 ? scripts.shift() : scripts[0];
    const say = (frame: ServerFrame) => ws.send(JSON.stringify(frame));
    ws.on('message', (bytes: Buffer) => {
      const frame = JSON.parse(bytes.toString('utf8')) as ClientFrame;
      if (frame.op === 'connect') {
        if (frame.token !== TOKEN) { ws.close(4_501, 'this token is not known'); return; }
        say({ op: 'connected', v: 1, pingMs: 25_000, limits: { channels: 200, catchUpFacts: 10_000 } });
      }
      if (frame.op !== 'subscribe') return;
      subscribed.push(frame.since);
      script?.({ send: say, raw: (text) => ws.send(text), close: (code, reason) => ws.close(code, reason), cut: () => ws.terminate(), since: frame.since, ch: frame.ch });
    });
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked, subscribed,
    answer: (what, body, options) => void answers.set(what, (_, response) => send(response, body, options)),
    answerBy: (what, handler) => void answers.set(what, handler),
    live: (...given) => { scripts.length = 0; scripts.push(...given); },
    sockets: () => sockets.size,
    async stop() {
      for (const ws of sockets) ws.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(response: ServerResponse, body: unknown, { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {}): void {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers }).end(bytes);
}

/** Ids and answers of the shapes that the engine gives. */
export const SOURCE_ID = '119588ea-8432-5e03-838c-11940b67513f';
export const CODEBASE_ID = '185fe316-16af-54a3-9621-4de504c6d4d6';
export const CAUSE_ID = 'ff6ddbba-fc76-421a-af76-f4ae112b6061';
export const COMMIT = '00990f0085c54c8027bb179f17049a85f9a0888c';
export const TREE = 'ec2c32bfc9b60caf84f0ef1617c96afa799922a7';
export const TIME = '2026-11-22T18:34:36.636Z';

export function codebaseAnswer(change: object = {}) {
  return {
    id: CODEBASE_ID, sourceId: SOURCE_ID, gitlabProjectId: 1, path: 'team/app', followed: { branches: ['*'], tags: [] }, defaultRef: 'refs/heads/main',
    hook: { state: 'installed', reason: null, isSigned: true }, registeredAt: TIME, lastHintAt: TIME, lastObservedAt: TIME, watchedBy: 'hook', lastLook: { at: TIME, how: 'sync' }, hookTrouble: null, state: 'active', undoUntil: null, revision: 1, ...change,
  };
}

export function receiptAnswer(change: object = {}) {
  return { codebase: CODEBASE_ID, ref: 'refs/heads/main', commit: COMMIT, tree: TREE, storedAt: TIME, observedAt: TIME, isHintWaiting: false, isParked: false, watchedBy: 'hook', lastLook: { at: TIME, how: 'sync' }, position: '28b01625-06', ...change };
}

export function syncAnswer(change: object = {}) {
  return {
    id: '063d6e28-ff51-52a4-bbfe-f51dceb607e4', codebaseId: CODEBASE_ID, ref: 'refs/heads/main', cause: CAUSE_ID, correlationId: 'k2', state: 'stored', isEnded: true,
    reason: null, detail: null, coveredBy: null, commit: COMMIT, tree: TREE, hintReached: null, attempt: 1, begunAt: TIME, fetchedAt: TIME, scannedAt: TIME, endedAt: TIME,
    counts: { commits: 1, trees: 21, blobs: 95 }, bytes: 236_817, objectsAdded: 117, progress: null, ...change,
  };
}

export const problem = (status: number, code: string, detail: string, more: object = {}) =>
  ({ type: `https://docs.tekai.dev/problems/${code}`, title: 'Problem', status, code, detail, instance: '49fe7e5c-5a79-4b4f-9d0a-000000000000', ...more });

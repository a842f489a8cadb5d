import { EventEmitter } from 'node:events';
import { createParser } from 'eventsource-parser';
import type { Request, Response } from 'express';
import type { WebSocket } from 'ws';
import type { ServerFrame, StreamEvents } from '#schemas/live/frames.ts';
import type { RefusedOnSocket } from '#shared/audit/note-refusals.ts';
import type { Principal } from '#shared/runtime/access.ts';
import type { EventStreams } from './event-stream.ts';
import { serveSocket, type LiveDeps, type LiveSocket, type Wire } from './socket.ts';

/** What lies between the engine and a reader: written at once, taken when the reader reads. */
function createPipe() {
  const pipe = Object.assign(new EventEmitter(), {
    pending: [] as { bytes: number; deliver(): void }[],
    length: 0,
    isReading: true,
    isCut: false,
    put(bytes: number, deliver: () => void): void {
      if (pipe.isCut) return;
      pipe.pending.push({ bytes, deliver });
      pipe.length += bytes;
    },
    /** Hands over what lies in it; all that comes later too, while it is read. */
    read(): void {
      if (pipe.isCut || pipe.length === 0 && pipe.pending.length === 0) return;
      for (const { deliver } of pipe.pending.splice(0)) deliver();
      pipe.length = 0;
      pipe.emit('drain');
    },
    cut(): void {
      if (pipe.isCut) return;
      pipe.isCut = true;
      pipe.pending.length = 0;
      pipe.length = 0;
      pipe.emit('close');
    },
  });
  return pipe;
}
export type Pipe = ReturnType<typeof createPipe>;

/** As `identify` has found, before a request comes here. */
const KNOWN: Principal = { actor: { kind: 'token', id: 'first-token' }, isSystemAdmin: true, scope: 'admin', credential: { kind: 'engine-token' } };

/** Text of whole unmasked frames, as a client's parser reads them. */
export function textsOf(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x81) throw new Error(`no whole text frame begins with ${bytes[at]}`);
    const short = bytes[at + 1] ?? 0;
    const [header, length] = short < 126 ? [2, short] : short === 126 ? [4, bytes.readUInt16BE(at + 2)] : [10, Number(bytes.readBigUInt64BE(at + 2))];
    texts.push(bytes.toString('utf8', at + header, at + header + length));
    at += header + length;
  }
  return texts;
}

/** A socket of a client that reads as the test says. */
export function openSocket(deps: LiveDeps, { isKnown = true, principal = KNOWN, refused = () => {}, onFrame, onClose }: { isKnown?: boolean; principal?: Principal | undefined; refused?: RefusedOnSocket; onFrame(frame: ServerFrame): void; onClose(code: number, reason: string): void }) {
  const pipe = createPipe();
  const wire = Object.assign(pipe, {
    write: (bytes: Buffer) => { pipe.put(bytes.length, () => { for (const text of textsOf(bytes)) onFrame(JSON.parse(text) as ServerFrame); }); return false; },
    cork: () => {}, uncork: () => {},
  }) as unknown as Wire;
  const socket = Object.assign(new EventEmitter(), {
    OPEN: 1, readyState: 1,
    get bufferedAmount() { return 0; },
    send: (text: string) => { pipe.put(text.length, () => onFrame(JSON.parse(text) as ServerFrame)); },
    close(code: number, reason: string) {
      if (socket.readyState !== 1) return;
      socket.readyState = 2;
      pipe.put(reason.length, () => { onClose(code, reason); cut(); });
    },
  });
  Object.defineProperty(socket, 'bufferedAmount', { get: () => pipe.length });
  const served: LiveSocket = serveSocket(deps, { socket: socket as unknown as WebSocket, wire, principal: isKnown ? principal : undefined, refused });
  const cut = () => { if (pipe.isCut) return; pipe.cut(); socket.readyState = 3; socket.emit('close'); };
  return { pipe, served, cut, say: (frame: unknown) => void socket.emit('message', Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame))) };
}

export interface StreamEvent<Name extends keyof StreamEvents = keyof StreamEvents> { readonly name: Name; readonly id: string | undefined; readonly data: StreamEvents[Name] }

/** A reader of server-sent events that reads as the test says. */
export function openStream(streams: EventStreams, query: { channels: readonly string[]; since?: string | undefined; lastEventId?: string | undefined; principal?: Principal | undefined }, { onEvent, onRetry = () => {}, onEnd }: { onEvent(event: StreamEvent): void; onRetry?(ms: number): void; onEnd(problem: unknown): void }) {
  const pipe = createPipe();
  const parser = createParser({ onEvent: ({ event, id, data }) => onEvent({ name: event as keyof StreamEvents, id, data: JSON.parse(data) as never }), onRetry });
  const headers: Record<string, string> = {};
  const response = Object.assign(pipe, {
    locals: { principal: query.principal ?? KNOWN }, headersSent: false, writableEnded: false, destroyed: false,
    writeHead: (_status: number, given: Record<string, string>) => { response.headersSent = true; Object.assign(headers, given); },
    flushHeaders: () => {}, cork: () => {}, uncork: () => {}, setHeader: () => {}, getHeader: () => undefined,
    write: (text: Buffer | string) => { const string = text.toString(); pipe.put(string.length, () => parser.feed(string)); return false; },
    end: () => { response.writableEnded = true; pipe.put(0, () => { onEnd(undefined); pipe.cut(); }); },
    destroy: () => { if (!pipe.isCut) { pipe.cut(); onEnd(undefined); } },
  });
  Object.defineProperty(response, 'writableLength', { get: () => pipe.length });
  const request = {
    method: 'GET', url: '/v1/live', query: { ch: query.channels, ...(query.since === undefined ? {} : { since: query.since }) },
    headers: { authorization: 'Bearer secret', ...(query.lastEventId === undefined ? {} : { 'last-event-id': query.lastEventId }) },
  };
  streams.routes(request as unknown as Request, response as unknown as Response, (problem?: unknown) => { pipe.cut(); onEnd(problem); });
  return { pipe, headers, cut: () => pipe.cut() };
}

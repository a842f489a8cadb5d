import { once } from 'node:events';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';

/** What is done to a request instead of passing it on. */
export type Fault = (request: IncomingMessage, response: ServerResponse, pass: (change?: (piece: Buffer) => Buffer) => void) => void;

/** A way to an HTTP server, on which anything can happen. */
export interface Way {
  readonly url: string;
  /** Each as `GET /path`. */
  readonly requests: string[];
  /** Undefined passes everything. */
  fault: Fault | undefined;
  close(): Promise<void>;
}

export async function openWay(endpoint: string): Promise<Way> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const pass = (change?: (piece: Buffer) => Buffer) => passOn(endpoint, { request, response, change });
    if (way.fault === undefined) pass();
    else way.fault(request, response, pass);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const way: Way = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, fault: undefined,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return way;
}

export const refuse = (status: number): Fault => (request, response) => { request.resume(); response.writeHead(status).end(); };

/** All is done that was asked, and half of the answer comes. */
export const cutAnswer: Fault = (_request, response, pass) => {
  response.once('pipe', (answer: Readable) => {
    answer.unpipe(response);
    answer.once('data', (piece: Buffer) => response.write(piece.subarray(0, piece.length >> 1), () => response.destroy())).once('end', () => response.destroy());
    answer.resume();
  });
  pass();
};

/** What is sent is cut, and nothing of it comes there. */
export const cutRequest: Fault = (request) => {
  // The connection: of a request that has come whole, destroying it ends nothing.
  const cut = () => request.socket.destroy();
  request.once('data', cut).once('end', cut).on('error', () => undefined);
};

/** The fault so many times, and then none. */
export function times(count: number, fault: Fault): Fault {
  let left = count;
  return (request, response, pass) => { if (left-- > 0) fault(request, response, pass); else pass(); };
}

interface Passed { readonly request: IncomingMessage; readonly response: ServerResponse; readonly change: ((piece: Buffer) => Buffer) | undefined }

/** With the Host that was asked for: it is signed. */
function passOn(endpoint: string, { request, response, change = (piece) => piece }: Passed): void {
  const { hostname, port } = new URL(endpoint);
  const onward = ask({ hostname, port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.on('data', (piece: Buffer) => onward.write(change(piece))).on('end', () => onward.end()).on('error', () => onward.destroy());
}

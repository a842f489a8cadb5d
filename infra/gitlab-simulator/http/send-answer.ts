import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';

import type { Answer, Headers } from './answer.ts';

export function sendAnswer(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  switch (answer.kind) {
    case 'json':
      return sendWhole(request, response, { status: answer.status, type: 'application/json', body: Buffer.from(JSON.stringify(answer.body)) });
    case 'text':
      return sendWhole(request, response, { status: answer.status, type: 'text/plain', body: Buffer.from(answer.body) });
    case 'bytes':
      return sendWhole(request, response, { status: answer.status, type: 'application/octet-stream', body: answer.body });
    case 'stream':
      response.writeHead(answer.status);
      // A reader who goes away is not our error; the pipeline has destroyed both ends.
      pipeline(answer.body, response, () => undefined);
      return;
    case 'empty':
      response.writeHead(answer.status);
      response.end();
      return;
    default:
      return answer satisfies never;
  }
}

function sendWhole(request: IncomingMessage, response: ServerResponse, whole: { status: number; type: string; body: Buffer }): void {
  if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', whole.type);
  if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'max-age=0, private, must-revalidate');
  if (whole.status === 200 && request.method === 'GET') {
    const tag = `W/"${createHash('md5').update(whole.body).digest('hex')}"`;
    response.setHeader('ETag', tag);
    if (request.headers['if-none-match'] === tag) {
      response.writeHead(304);
      response.end();
      return;
    }
  }
  response.setHeader('Content-Length', whole.body.length);
  response.writeHead(whole.status);
  response.end(request.method === 'HEAD' ? undefined : whole.body);
}

export function setHeaders(response: ServerResponse, headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

import http from 'node:http';
import https from 'node:https';

/** What GitLab keeps of a receiver's answer. */
const RESPONSE_BODY_BYTES_KEPT = 8 * 1024;
const RESPONSE_HEADERS_KEPT = 50;
const RESPONSE_HEADER_LENGTH_KEPT = 1_024;

export type Outcome =
  | { kind: 'answered'; status: number; headers: Record<string, string>; body: string }
  | { kind: 'failed'; reason: string };

export interface OutgoingHook {
  url: string;
  body: string;
  headers: Record<string, string>;
  isSslVerified: boolean;
  timeoutMs: number;
  signal: AbortSignal;
}

/** One POST, never redirected, over a connection of its own. The time-out spans all of it, the answer's body too. */
export function sendHook(outgoing: OutgoingHook): Promise<Outcome> {
  return new Promise((resolve) => {
    const fail = (reason: string): void => resolve({ kind: 'failed', reason });
    let request: http.ClientRequest;
    try {
      request = openRequest(outgoing);
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error));
    }
    const timer = setTimeout(() => {
      fail('execution expired');
      request.destroy();
    }, outgoing.timeoutMs);
    request.on('error', (error) => fail(error.message));
    request.on('close', () => clearTimeout(timer));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let kept = 0;
      response.on('data', (chunk: Buffer) => {
        if (kept < RESPONSE_BODY_BYTES_KEPT) chunks.push(chunk);
        kept += chunk.length;
      });
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        const body = Buffer.concat(chunks).subarray(0, RESPONSE_BODY_BYTES_KEPT).toString('utf8');
        resolve({ kind: 'answered', status: response.statusCode ?? 0, headers: keptHeaders(response.headers), body });
      });
    });
    request.end(outgoing.body);
  });
}

function openRequest(outgoing: OutgoingHook): http.ClientRequest {
  const url = new URL(outgoing.url);
  const headers: Record<string, string | number> = { ...outgoing.headers, Accept: '*/*', 'Content-Length': Buffer.byteLength(outgoing.body) };
  const auth = url.username === '' ? {} : { auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` };
  const options = { method: 'POST', headers, agent: false as const, signal: outgoing.signal, ...auth };
  if (url.protocol === 'https:') return https.request(url, { ...options, rejectUnauthorized: outgoing.isSslVerified });
  if (url.protocol === 'http:') return http.request(url, options);
  throw new Error(`URL is blocked: Only allowed schemes are http, https`);
}

function keptHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).slice(0, RESPONSE_HEADERS_KEPT);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value).slice(0, RESPONSE_HEADER_LENGTH_KEPT)]));
}

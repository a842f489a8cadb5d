import { once } from 'node:events';
import { createParser } from 'eventsource-parser';
import { WebSocket } from 'ws';
import { serverFrame, streamedFact } from '#schemas/api/live.ts';
import { until, type System } from './system.ts';

export interface Told { readonly id: string; readonly type: string; readonly position: string; readonly traceparent?: string | undefined }

/** What is told of a codebase over a WebSocket and as server-sent events. */
export interface LiveEars {
  readonly bySocket: readonly Told[];
  readonly byStream: readonly Told[];
  stop(): void;
}

export async function listenTo(system: System, channel: string, since?: string): Promise<LiveEars> {
  const [bySocket, byStream]: [Told[], Told[]] = [[], []];
  const headers = { authorization: `Bearer ${system.token}` };
  const socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live`, { headers });
  let subscribed = 0;
  socket.on('message', (message: Buffer) => {
    const frame = serverFrame.parse(JSON.parse(message.toString()));
    if (frame.op === 'subscribed') subscribed += 1;
    if (frame.op === 'pub') bySocket.push(frame);
  });
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 'subscribe', ch: channel, ...(since === undefined ? {} : { since }) }));

  const cut = new AbortController();
  const response = await fetch(`${system.url}/v1/live?ch=${channel}${since === undefined ? '' : `&since=${since}`}`, { headers, signal: cut.signal });
  const parser = createParser({ onEvent({ event, data }) {
    if (event === 'subscribed') subscribed += 1;
    if (event === 'pub') byStream.push(streamedFact.parse(JSON.parse(data)));
  } });
  void (async () => {
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) parser.feed(decoder.decode(piece as Uint8Array, { stream: true }));
  })().catch(() => undefined);
  await until('both listen', () => subscribed === 2);
  return { bySocket, byStream, stop() { cut.abort(); socket.terminate(); } };
}

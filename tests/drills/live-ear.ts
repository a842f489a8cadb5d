import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import type { System } from '../harness/system.ts';

interface Heard { readonly position: string; readonly type: string; readonly id: string; readonly data: { readonly deliveryId?: string } }

export interface LiveEar {
  /** In the order in which they were told. */
  readonly heard: readonly Heard[];
  stop(): Promise<void>;
}

/** Listens to everything over `GET /v1/live`; comes back from where it was whenever the link ends. */
export function listenLive(system: System): LiveEar {
  const heard: Heard[] = [];
  const stopping = new AbortController();
  let lastId: string | undefined;
  const listening = (async () => {
    while (!stopping.signal.aborted) {
      const response = await fetch(`${system.url}/v1/live?ch=all`, { headers: { authorization: `Bearer ${system.token}`, ...(lastId === undefined ? {} : { 'last-event-id': lastId }) }, signal: stopping.signal }).catch(() => undefined);
      const parser = createParser({
        onEvent({ event, id, data }) {
          if (id !== undefined) lastId = id;
          if (event === 'subscribed') assert.ok((JSON.parse(data) as { recovered: boolean }).recovered || heard.length === 0, 'the stream could not be taken up again where it was');
          if (event === 'pub') heard.push(JSON.parse(data) as Heard);
        },
      });
      const decoder = new TextDecoder();
      try {
        for await (const piece of response?.body ?? []) parser.feed(decoder.decode(piece as Uint8Array, { stream: true }));
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        // Cut; it begins again.
      }
      await sleep(100);
    }
  })();
  listening.catch(() => undefined);
  return { heard, stop: async () => { stopping.abort(); await listening; } };
}

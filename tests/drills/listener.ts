import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ServerFrame } from '#schemas/live/frames.ts';
import { eventsOf, until, type System } from '../harness/system.ts';

/** A client of the live protocol that wants everything: it comes back by its last position as often as its line breaks. */
export interface Listener {
  /** Where it began: what comes behind is to be heard. */
  readonly from: string;
  /** As they came, doubled ones too. */
  readonly heard: readonly Heard[];
  readonly connections: number;
  /** How its lines ended, oldest first: 1006 is a line that was cut. */
  readonly ends: readonly number[];
  stop(): Promise<void>;
}
interface Heard { readonly position: string; readonly previous: string; readonly id: string }

const COME_BACK_MS = 50;

/** Resolves when it is subscribed to the channel `all`. By hand and not by our client, which would hide a frame that comes twice. */
export async function listenToAll(system: System): Promise<Listener> {
  const heard: Heard[] = [];
  const ends: number[] = [];
  let from: string | undefined;
  let connections = 0;
  let isStopped = false;
  let socket: WebSocket | undefined;
  const listening = (async () => {
    while (!isStopped) {
      socket = new WebSocket(`${system.url.replace('http', 'ws')}/v1/live`, { headers: { authorization: `Bearer ${system.token}` } });
      const closed = once(socket, 'close').catch(() => [0]);
      socket.on('error', () => undefined);
      socket.on('open', () => { connections += 1; socket?.send(JSON.stringify({ op: 'subscribe', ch: 'all', since: heard.at(-1)?.position ?? from })); });
      socket.on('message', (message: Buffer) => take(JSON.parse(message.toString('utf8')) as ServerFrame));
      const [code] = (await closed) as [number];
      if (connections > ends.length) ends.push(code);
      if (!isStopped) await sleep(COME_BACK_MS);
    }
  })();
  const beginning = await until('a listener to everything is subscribed', () => from);
  return { from: beginning, heard, ends, get connections() { return connections; }, stop: async () => { isStopped = true; socket?.terminate(); await listening; } };

  function take(frame: ServerFrame): void {
    if (frame.op === 'pub') heard.push(frame);
    if (frame.op !== 'subscribed') return;
    from ??= frame.position;
    // What a client must do then is not drilled here: no outage of a drill lasts 10,000 facts.
    if (!frame.recovered) heard.push({ position: 'a subscription that was not recovered', previous: '', id: '' });
  }
}

/** I2: what was told is the log, from where the listener began: every position once, in order, each naming the one before. */
export async function expectHeardAll(system: System, { from, heard }: Listener): Promise<void> {
  const events = (await eventsOf(system, '')).filter(({ position }) => position > from);
  const last = events.at(-1)?.position ?? from;
  await until(`a listener has heard of ${last}`, () => heard.some(({ position }) => position >= last) || events.length === 0);
  const told = heard.slice(0, heard.findLastIndex(({ position }) => position === last) + 1);
  assert.deepEqual(told.map(({ position, id }) => `${position} ${id}`), events.map(({ position, id }) => `${position} ${id}`), 'what a socket was told is not the log');
  assert.deepEqual(told.map(({ previous }) => previous), [from, ...events.slice(0, -1).map(({ position }) => position)], 'a frame does not name the position told before it');
}

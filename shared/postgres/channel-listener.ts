import { setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';

/** A lost connection is asked for again after this. */
const CONNECT_AGAIN_MS = 2_000;
/** It keeps one connection to itself: a pool that has hardly any needs them for reading. */
const POOL_CONNECTIONS_MIN = 3;

/** Hears what other processes NOTIFY on one channel, while somebody wants it. What is told while the connection is lost, nobody hears. */
export interface ChannelListener {
  /** Listens until what each call returned was called. */
  hold(): () => void;
}

export interface ChannelListenerOptions {
  readonly channel: string;
  onPayload(payload: string): void;
}

export function createChannelListener(pool: Pool, options: ChannelListenerOptions): ChannelListener {
  let held = 0;
  let stopping: AbortController | undefined;

  return {
    hold() {
      held += 1;
      if (held === 1 && pool.options.max >= POOL_CONNECTIONS_MIN) {
        stopping = new AbortController();
        void listen(pool, options, stopping.signal);
      }
      let isHolding = true;
      return () => {
        if (isHolding && (held -= 1) === 0) stopping?.abort();
        isHolding = false;
      };
    },
  };
}

async function listen(pool: Pool, options: ChannelListenerOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await listenOnce(pool, options, signal).catch(() => undefined);
    await delay(CONNECT_AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** Resolves when the connection is lost, or when told to stop. */
async function listenOnce(pool: Pool, { channel, onPayload }: ChannelListenerOptions, signal: AbortSignal): Promise<void> {
  const client = await pool.connect();
  try {
    const ended = endOf(client, signal);
    client.on('notification', ({ payload }) => { if (payload !== undefined) onPayload(payload); });
    if (!signal.aborted) await client.query(`listen ${channel}`);
    await ended;
  } finally {
    // Thrown away: nobody else is to hear what it listens to.
    client.release(true);
  }
}

function endOf(client: PoolClient, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    client.once('end', resolve);
    client.once('error', () => resolve());
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { createChannelListener } from '#shared/postgres/channel-listener.ts';
import type { Progress } from './bus.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';
import type { ProgressChannel } from './progress-channel.ts';

const CHANNEL = 'tekai_progress';
/** Postgres takes no notification of 8,000 bytes. Only a very long name of a ref gets there. */
const PAYLOAD_BYTES_MAX = 7_900;
/** Told and not yet answered: while the database is slow, what comes is lost. */
const TELLING_MAX = 4;

/** By NOTIFY to other processes, and straight to listeners in this one. */
export function createPostgresProgressChannel(pool: Pool): ProgressChannel {
  const here = createLocalProgressChannel();
  const sender = randomUUID();
  const elsewhere = createChannelListener(pool, { channel: CHANNEL, onPayload });
  let telling = 0;

  return {
    tell(progress) {
      here.tell(progress);
      const payload = JSON.stringify({ sender, progress });
      if (telling >= TELLING_MAX || Buffer.byteLength(payload) > PAYLOAD_BYTES_MAX) return;
      telling += 1;
      void pool.query('select pg_notify($1, $2)', [CHANNEL, payload]).catch(() => undefined).finally(() => { telling -= 1; });
    },

    listen(listener) {
      const unlisten = here.listen(listener);
      const letGo = elsewhere.hold();
      return () => { unlisten(); letGo(); };
    },
  };

  function onPayload(payload: string): void {
    const told = JSON.parse(payload) as { sender: string; progress: Progress };
    if (told.sender !== sender) here.tell(told.progress);
  }
}

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that the system gives to whoever asks for any: who is killed and started again finds its port free. */
const RANDOM = { from: 12_000, below: 31_000 } as const;
const TRIES_MAX = 50;

/** So many ports in a row on which nobody listens: from the one that is given on, or anywhere. @throws naming the one that is taken */
export async function takePorts(count: number, from?: number): Promise<number[]> {
  const rowFrom = (first: number) => Array.from({ length: count }, (_, n) => first + n);
  if (from !== undefined) {
    const taken = await firstTaken(rowFrom(from));
    if (taken !== undefined) throw new Error(`port ${taken} is taken: the stack wants ${from} to ${from + count - 1}; name another first one by --port`);
    return rowFrom(from);
  }
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const row = rowFrom(randomInt(RANDOM.from, RANDOM.below));
    if ((await firstTaken(row)) === undefined) return row;
  }
  throw new Error(`no ${count} ports in a row are free between ${RANDOM.from} and ${RANDOM.below}`);
}

async function firstTaken(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) if (!(await isFree(port))) return port;
  return undefined;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '0.0.0.0');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    if (server.listening) { server.close(); await once(server, 'close'); }
  }
}

import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { installed } from './obtain.ts';
import { freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

export interface RedisOptions extends ServerOptions {
  /** More words of its command line, such as `--requirepass secret`. */
  readonly more?: readonly string[];
}

/** A real Redis, which keeps nothing on the disk. @throws NotHere without the program */
export async function startRedis({ directory, port, more = [] }: RedisOptions): Promise<RunningServer> {
  const program = await installed('redis-server', 'redis-server');
  const own = port ?? await freePort();
  await mkdir(directory, { recursive: true });
  return runServer({
    name: 'redis', port: own, url: `redis://127.0.0.1:${own}`, command: program,
    args: ['--bind', '127.0.0.1', '--port', String(own), '--dir', directory, '--save', '', '--appendonly', 'no', ...more],
    isReady: () => pongs(own),
  });
}

/** Also one that wants a password answers. */
async function pongs(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return /^(?:\+PONG|-NOAUTH)/.test(answer.toString());
  } finally {
    socket.destroy();
  }
}

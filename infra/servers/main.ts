import { parseArgs } from 'node:util';
import { startFakeGcs } from './fake-gcs.ts';
import { startKafka } from './kafka.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';
import { startS3Proxy } from './s3proxy.ts';
import { startSeaweedfs } from './seaweedfs.ts';
import type { RunningServer, ServerOptions } from './server.ts';

/** By name: `npm run -s server -- kafka --dir <folder> [--port N]` prints one JSON line with how to reach it, and runs until it is told to stop. */
const SERVERS: Readonly<Record<string, (options: ServerOptions) => Promise<RunningServer>>> = { 'fake-gcs': startFakeGcs, kafka: startKafka, postgres: startPostgres, redis: startRedis, s3proxy: startS3Proxy, seaweedfs: startSeaweedfs };

async function main(): Promise<void> {
  const { values, positionals: [name = ''] } = parseArgs({ allowPositionals: true, options: { port: { type: 'string' }, dir: { type: 'string' } } });
  const start = SERVERS[name];
  const port = values.port === undefined ? undefined : Number(values.port);
  if (start === undefined || values.dir === undefined || (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536))) throw new Error(`usage: server ${Object.keys(SERVERS).join('|')} --dir <folder> [--port N]`);
  const server = await start({ directory: values.dir, ...(port === undefined ? {} : { port }) });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.stop().then(() => process.exit(0)));
  server.child.once('close', () => process.exit(1));
  process.stdout.write(`${JSON.stringify({ name: server.name, url: server.url, port: server.port, pid: server.child.pid })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

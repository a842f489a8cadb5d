import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startDouble, type DoubleOptions } from './server.ts';

const USAGE = 'usage: eventstore-double [--port 0] [--admin-port 0] [--dir <folder>] [--nodes 3] [--tls-cert <file> --tls-key <file>] [--user name:password]...';
const NODES_MAX = 9;

function readOptions(): DoubleOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { port: { ...text, default: '0' }, 'admin-port': { ...text, default: '0' }, dir: text, nodes: { ...text, default: '1' }, 'tls-cert': text, 'tls-key': text, user: { ...text, multiple: true, default: [] } } });
  const [port = -1, adminPort = -1, nodes = 0] = [values.port, values['admin-port'], values.nodes].map(Number);
  const isWithin = (given: number, [least, most]: readonly [number, number]) => Number.isInteger(given) && given >= least && given <= most;
  const users = values.user.map((one) => /^([^:]+):(.+)$/.exec(one));
  const files = [values['tls-cert'], values['tls-key']];
  const isRight = isWithin(port, [0, 65_535]) && isWithin(adminPort, [0, 65_535]) && isWithin(nodes, [1, NODES_MAX]) && values.dir !== '' && !users.includes(null) && new Set(files.map((file) => file === undefined)).size === 1;
  if (!isRight) throw new Error(USAGE);
  const [certificate, key] = files.map((file) => (file === undefined ? undefined : readFileSync(file)));
  return {
    port, adminPort, nodes, directory: values.dir, users: new Map(users.map((one) => [one?.[1] ?? '', one?.[2] ?? ''])),
    ...(certificate === undefined || key === undefined ? {} : { tls: { certificate, key } }),
  };
}

async function main(): Promise<void> {
  const { url, adminUrl, stop } = await startDouble(readOptions());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { stop(); process.exit(0); });
  process.stdout.write(`${JSON.stringify({ url, adminUrl })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

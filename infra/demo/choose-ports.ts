import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { DemoFailed } from './demo-failed.ts';
import type { Ports } from './kept-state.ts';

const ENGINE_PORT = 8080;
const INTERNAL_PORT = 8081;

/** The ports asked for, else those of the last time (webhooks name them), else the usual ones; a free one where that is taken. */
export async function choosePorts(env: NodeJS.ProcessEnv, { kept, say }: { kept: Ports | undefined; say(line: string): void }): Promise<Ports> {
  const taken = new Set<number>();
  const choose = async (what: string, wanted: number) => {
    const port = wanted !== 0 && !taken.has(wanted) && (await isFree(wanted)) ? wanted : await freePort(taken);
    if (wanted !== 0 && port !== wanted) say(`Port ${wanted} is taken by another program: ${what} takes ${port}.`);
    taken.add(port);
    return port;
  };
  const engine = await choose('the engine', portFrom(env, 'TEKAI_PORT') ?? kept?.engine ?? ENGINE_PORT);
  const internal = await choose('its health door', portFrom(env, 'TEKAI_INTERNAL_PORT') ?? kept?.internal ?? INTERNAL_PORT);
  return { engine, internal, gitlab: await choose('the simulated GitLab', kept?.gitlab ?? 0) };
}

function portFrom(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const given = env[name];
  if (given === undefined || given === '') return undefined;
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535) throw new DemoFailed(`${name}=${given} is not a port. It is a number up to 65535, for example ${name}=8090.`);
  return Number(given);
}

async function isFree(port: number): Promise<boolean> {
  return listenOn(port).then(() => true, () => false);
}

async function freePort(taken: ReadonlySet<number>): Promise<number> {
  for (;;) {
    const port = await listenOn(0);
    if (!taken.has(port)) return port;
  }
}

async function listenOn(port: number): Promise<number> {
  const server = createServer().listen(port, '0.0.0.0');
  await once(server, 'listening');
  const { port: got } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return got;
}

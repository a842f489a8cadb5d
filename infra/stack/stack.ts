import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { RunningServer } from '../servers/server.ts';
import { ENGINE_PORTS, settingsOf, startEngines, stopEngines, type Engines } from './engines.ts';
import { behindGateway, startGateway } from './gateway.ts';
import { takePorts } from './ports.ts';
import { PROGRAM, type ServiceProcess } from './service-process.ts';
import { endServices, prepareServices, SERVICE_PORTS, startServices } from './services.ts';

const run = promisify(execFile);

/** The distributed form: engines, every service as a process of its own, and a gateway before them. */
export interface Stack {
  /** Of the gateway. */
  readonly url: string;
  readonly stateDir: string;
  readonly engines: Engines;
  readonly gateway: RunningServer;
  readonly services: readonly ServiceProcess[];
  /** By which a program beside the services finds what they stand on. */
  readonly settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export interface StackOptions {
  readonly directory: string;
  /** The gateway's; the others follow it. By default any that are free. */
  readonly port?: number | undefined;
  readonly eventstoreUrl?: string | undefined;
  note(text: string): void;
}

/** Resolves once all is ready. What was started is ended when something does not come up. */
export async function startStack({ directory, port, eventstoreUrl, note }: StackOptions): Promise<Stack> {
  const ports = await takePorts(1 + SERVICE_PORTS + ENGINE_PORTS, port);
  const [own = 0, ...others] = ports;
  const stateDir = path.join(directory, 'state');
  await mkdir(stateDir, { recursive: true });
  note('starting Postgres, EventStoreDB, Kafka, Redis and S3');
  const engines = await startEngines({ directory: path.join(directory, 'engines'), ports: others.slice(SERVICE_PORTS), eventstoreUrl });
  const stores = { TEKAI_STATE_DIR: stateDir, ...settingsOf(engines, eventstoreUrl) };
  const settings = { ...stores, ...behindGateway(`http://127.0.0.1:${own}`) };
  const services = await prepareServices({ settings, ports: others, logDirectory: path.join(directory, 'logs') });
  let gateway: RunningServer | undefined;
  try {
    await applyTopics(stores);
    note(`starting ${services.length} services`);
    gateway = await startGateway({ directory: path.join(directory, 'gateway'), port: own, services });
    await startServices(services);
    return { url: settings.TEKAI_PUBLIC_URL, stateDir, engines, gateway, services, settings: stores, stop: () => stop({ services, gateway, engines }) };
  } catch (error) {
    await stop({ services, gateway, engines });
    throw error;
  }
}

/** As an operator does, before the first start. */
export async function applyTopics(stores: Readonly<Record<string, string>>, words: readonly string[] = []): Promise<void> {
  await run(process.execPath, [PROGRAM, 'topics', 'apply', ...words], { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...stores } });
}

/** Services first: each hands back what it has, while what it stands on is there. */
async function stop({ services, gateway, engines }: { services: readonly ServiceProcess[]; gateway: RunningServer | undefined; engines: Engines }): Promise<void> {
  await endServices(services, 'SIGTERM');
  await gateway?.stop();
  await stopEngines(engines);
}

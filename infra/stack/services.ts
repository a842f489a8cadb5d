import { mkdir } from 'node:fs/promises';
import { serviceProcess, type ServiceProcess, type ServiceProcessOptions } from './service-process.ts';

/** How many of each. Of ingress there is one, for its spool is its own. */
const COUNTS = { identity: 1, ingress: 1, scheduler: 1, relay: 1, fetcher: 2, scanner: 2, 'storage-writer': 2, projector: 1, notifier: 2, 'query-api': 2 } as const;
export const SERVICE_PORTS = 2 * Object.values(COUNTS).reduce((sum, count) => sum + count, 0);

export interface ServicesOptions extends Pick<ServiceProcessOptions, 'settings' | 'logDirectory'> {
  /** As many as SERVICE_PORTS. */
  readonly ports: readonly number[];
  onLine?(line: string): void;
}

/** All of them, none started. */
export async function prepareServices({ ports, logDirectory, ...options }: ServicesOptions): Promise<ServiceProcess[]> {
  await mkdir(logDirectory, { recursive: true });
  const labels = Object.entries(COUNTS).flatMap(([name, count]) => Array.from({ length: count }, (_, n) => ({ name, label: count === 1 ? name : `${name}-${n + 1}` })));
  return labels.map(({ name, label }, n) => serviceProcess({ ...options, name, label, logDirectory, port: ports[2 * n] ?? 0, internalPort: ports[2 * n + 1] ?? 0 }));
}

/** Those of these names, or all; whoever runs goes on. @throws when one of them ends instead */
export async function startServices(services: readonly ServiceProcess[], names?: readonly string[]): Promise<void> {
  await Promise.all(services.filter(({ name }) => names === undefined || names.includes(name)).map((one) => one.start()));
}

export async function endServices(services: readonly ServiceProcess[], signal: NodeJS.Signals): Promise<void> {
  await Promise.all(services.map((one) => one.end(signal)));
}

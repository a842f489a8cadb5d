import { mkdirSync } from 'node:fs';
import type { Logger } from '#shared/runtime/logger.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { compose, SERVICE_NAMES, type Engine, type ServiceName } from './composition.ts';
import { createHealth, type Health, type Version } from './health.ts';

export interface RunningEngine {
  readonly port: number;
  readonly internalPort: number;
  readonly givenUp: Promise<Error>;
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly settings: Settings;
  readonly names: readonly ServiceName[];
  readonly version: Omit<Version, 'services'>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Starts the named services in one process, in the order of the flow, and opens the doors last. */
export async function runEngine(options: RunOptions): Promise<RunningEngine> {
  const { settings, logger } = options;
  mkdirSync(settings.stateDir, { recursive: true });
  const engine = await compose(options);
  const running: RunningService[] = [];
  const health = createHealth({ checks: engine.checks, door: engine.door, metrics: engine.metrics, version: { ...options.version, services: options.names } });
  try {
    engine.door.use(health.handler, ['GET /livez', 'GET /readyz', 'GET /version', 'GET /']);
    for (const name of SERVICE_NAMES) if (options.names.includes(name)) running.push(await engine.services[name]());
    const internalPort = await health.listen(settings.internalPort);
    const port = await engine.door.listen(settings.port);
    logger.info({ port, internalPort, services: running.map((service) => service.name) }, 'up');
    return { port, internalPort, givenUp: engine.givenUp, stop: () => stopEngine({ engine, running, health, logger }) };
  } catch (error) {
    await stopEngine({ engine, running, health, logger });
    throw error;
  }
}

interface Stopping { readonly engine: Engine; readonly running: readonly RunningService[]; readonly health: Health; readonly logger: Logger }

/** Doors close first, readers last, so that nothing accepted is left unread. */
async function stopEngine({ engine, running, health, logger }: Stopping): Promise<void> {
  health.stopping();
  // Takes nothing new from here on; resolves once the notifier has let its sockets go.
  const closed = engine.door.close();
  for (const service of running) {
    await service.stop().catch((error: unknown) => logger.error({ error, service: service.name }, 'a service did not stop cleanly'));
  }
  await closed;
  await health.close();
  await engine.close();
  logger.info('down');
}

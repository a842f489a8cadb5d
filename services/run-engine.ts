import { mustBeDeclared } from '#shared/access/policy.ts';
import { createHttpDoor, type HttpDoor } from '#shared/runtime/http-door.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { makeFolder } from '#shared/runtime/make-folder.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { createStartWaits } from '#shared/runtime/start-waits.ts';
import type { Tracing } from '#shared/runtime/tracing.ts';
import { compose, SERVICE_NAMES, servicesOf, WORKERS, type Checks, type Engine, type EngineParts, type ServiceName } from './composition.ts';
import { createHealth, type Health, type Version } from './health.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export interface RunningEngine {
  readonly port: number;
  readonly internalPort: number;
  readonly givenUp: Promise<Error>;
  stop(): Promise<void>;
}

export interface RunOptions {
  readonly settings: Settings;
  /** Those run in this process. Undefined: all, the workers in a process of their own. */
  readonly names: readonly ServiceName[] | undefined;
  readonly version: Omit<Version, 'services'>;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly signal: AbortSignal;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** To who started it, and nowhere else. */
  announce(text: string): void;
}

/**
 * Opens the doors, health first: whoever asks is told what the start waits for. Then starts the services in the order of the flow,
 * each as soon as what it needs is there: ingress needs no log, and spools meanwhile. Resolves once all run.
 * @throws StartRefused, and whatever else waiting does not help with
 */
export async function runEngine(options: RunOptions): Promise<RunningEngine> {
  const { settings, logger, tracing, sleep } = options;
  const { names = servicesOf(settings) } = options;
  await makeFolder(settings.stateDir);
  const givingUp = new AbortController();
  const signal = AbortSignal.any([options.signal, givingUp.signal]);
  const waits = createStartWaits({ logger, signal, sleep });
  const door = createHttpDoor({ logger, trustedProxies: settings.trustedProxies, isWhole: waits.isOver });
  const metrics = createMetrics();
  const parts: Parts = { running: [], engine: undefined, workers: undefined };
  const health = createHealth({
    starting: waits.reasons, door, version: { ...options.version, services: names },
    checks: () => ({ ...parts.engine?.checks, ...(parts.workers === undefined ? {} : { workers: parts.workers.check }), ...checksOf(parts.running, names) }),
    metrics: { render: async () => metrics.render(await parts.workers?.metrics()) },
  });
  door.use(health.handler, ['GET /livez', 'GET /readyz', 'GET /version', 'GET /']);
  try {
    const internalPort = await health.listen(settings.internalPort);
    const port = await door.listen(settings.port);
    logger.info({ port, internalPort }, 'the doors are open; the services start');
    await startServices({ options, parts, giveUp: () => givingUp.abort(), made: { settings, logger, signal, door, metrics, waits, tracing, announce: options.announce } });
    mustBeDeclared(door.served());
    waits.over();
    logger.info({ port, internalPort, services: parts.running.map((service) => service.name) }, 'up');
    return { port, internalPort, givenUp: parts.engine?.givenUp ?? new Promise(() => undefined), stop: () => stopEngine({ door, parts, health, logger }) };
  } catch (error) {
    givingUp.abort();
    await stopEngine({ door, parts, health, logger });
    throw error;
  }
}

/** What was started so far. */
interface Parts { readonly running: RunningService[]; engine: Engine | undefined; workers: WorkerProcess | undefined }

interface Starting {
  readonly options: RunOptions;
  readonly made: EngineParts;
  readonly parts: Parts;
  /** Ends the waits that are under way. */
  giveUp(): void;
}

async function startServices({ options, made, parts, giveUp }: Starting): Promise<void> {
  const { waits } = made;
  const engine = await compose(made);
  parts.engine = engine;
  if (options.names === undefined) parts.workers = startWorkerProcess({ databaseUrl: engine.databaseUrl, logger: made.logger, sleep: options.sleep });
  const { names = servicesOf(options.settings) } = options;
  const checked = waits.until(engine.checkLog);
  const inOrder = (async () => {
    for (const name of SERVICE_NAMES) {
      if (parts.workers !== undefined && isWorker(name)) {
        if (!parts.running.includes(parts.workers)) parts.running.push(parts.workers);
      } else if (names.includes(name)) parts.running.push(await waits.until(engine.services[name]));
    }
    await checked;
  })();
  // A log that is the wrong one, or a database of ours that is gone for good, is waited for by services in vain.
  const never = Promise.all([checked, engine.givenUp.then((error) => { throw error; })]);
  try {
    await Promise.race([inOrder, never]);
  } catch (error) {
    giveUp();
    await Promise.allSettled([inOrder, checked]);
    throw error;
  } finally {
    never.catch(() => undefined);
  }
}

interface Stopping { readonly door: HttpDoor; readonly parts: Parts; readonly health: Health; readonly logger: Logger }

/** Doors close first, readers last, so that nothing accepted is left unread. */
async function stopEngine({ door, parts: { running, engine, workers }, health, logger }: Stopping): Promise<void> {
  health.stopping();
  // Takes nothing new from here on; resolves once the notifier has let its sockets go.
  const closed = door.close();
  for (const service of workers === undefined || running.includes(workers) ? running : [...running, workers]) {
    await service.stop().catch((error: unknown) => logger.error({ error, service: service.name }, 'a service did not stop cleanly'));
  }
  await closed;
  await health.close();
  await engine?.close();
  logger.info('down');
}

/** What waits beside the doors keeps nobody out: while Kafka is away webhooks are taken as ever, and GitLab must not be turned away. */
const asRemark = (check: () => Promise<string | void>) => () => check().catch((error: unknown) => `waits: ${error instanceof Error ? error.message : String(error)}`);

/** Of those that were started so far. */
function checksOf(running: readonly RunningService[], names: readonly ServiceName[]): Checks {
  const own = running.flatMap(({ name, check }) => (check === undefined || name === 'workers' ? [] : [[name, names.includes('ingress') ? asRemark(check) : check] as const]));
  return Object.fromEntries(own);
}

const isWorker = (name: ServiceName) => WORKERS.some((worker) => worker === name);

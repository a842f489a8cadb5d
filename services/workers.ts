import { once } from 'node:events';
import { createHttpDoor } from '#shared/runtime/http-door.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { createMetrics } from '#shared/runtime/metrics.ts';
import { openTracing } from '#shared/runtime/open-tracing.ts';
import { parseSettings } from '#shared/runtime/settings.ts';
import type { RunningService } from '#shared/runtime/service.ts';
import { createStartWaits } from '#shared/runtime/start-waits.ts';
import { sleep } from './composition-stores.ts';
import { compose, WORKERS, type Engine } from './composition.ts';
import type { FromWorkers, ToWorkers } from './worker-messages.ts';

// The workers' process: started and told by services/worker-process.ts, with the environment of the engine. It opens no port.

const EXIT_FAILED = 1;
const settings = parseSettings(process.env);
const stopping = new AbortController();

// Ctrl-C and supervisors that tell the whole group tell us too: the engine says when, doors first.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
// The engine is gone, and nobody is told: as if killed, which loses nothing (I11). Its Postgres may be going as well.
process.on('disconnect', () => process.exit(EXIT_FAILED));
process.on('message', (message: ToWorkers) => { if (message.kind === 'stop') stopping.abort(); });

const [begin] = (await once(process, 'message')) as [ToWorkers];
if (begin.kind !== 'begin') process.exit(EXIT_FAILED);
const tracing = await openTracing(settings);
const logger = createLogger(settings.logLevel, {}, tracing.isOn ? tracing.logFields : undefined);
const metrics = createMetrics();
process.on('message', (message: ToWorkers) => {
  if (message.kind === 'metrics') void metrics.snapshot('workers').then((snapshot) => tell({ kind: 'metrics', snapshot }));
});
const waits = createStartWaits({ logger, signal: stopping.signal, sleep, onReasons: (reasons) => tell({ kind: 'waiting', reasons }) });
const running: RunningService[] = [];
let engine: Engine | undefined;
try {
  engine = await compose({ settings: { ...settings, databaseUrl: begin.databaseUrl }, logger, signal: stopping.signal, door: createHttpDoor({ logger }), metrics, waits, tracing, announce: () => undefined });
  for (const name of WORKERS) running.push(await waits.until(engine.services[name]));
  waits.over();
  tell({ kind: 'up' });
  logger.info({ pid: process.pid, services: WORKERS }, 'the workers are up');
} catch (error) {
  // Told to stop while they waited: there is nothing that they had begun.
  if (!stopping.signal.aborted) throw error;
}

if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
for (const service of running) await service.stop().catch((error: unknown) => logger.error({ error, service: service.name }, 'a service did not stop cleanly'));
await engine?.close();
await tracing.close();
process.exit(0);

function tell(message: FromWorkers): void {
  if (process.connected) process.send?.(message);
}

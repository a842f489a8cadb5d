import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Request, RequestHandler, Response } from 'express';
import { withDeadline } from '#shared/runtime/deadline.ts';
import { portTaken, type HttpDoor } from '#shared/runtime/http-door.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import type { Checks } from './composition.ts';

/** A loop that is held up longer than this answers nobody in time. */
const LOOP_DELAY_MS_MAX = 5_000;
const CHECK_MS_MAX = 2_000;
/** Probes come from several sides; each dependency is asked once a second. */
const CACHED_MS = 1_000;

export interface Health {
  /** `/livez`, `/readyz`, `/version` and `/`, without details: they are for everybody. */
  readonly handler: RequestHandler;
  /** The same with reasons, and `/metrics`, for the internal port. */
  listen(port: number): Promise<number>;
  /** From here on `readyz` says no. */
  stopping(): void;
  close(): Promise<void>;
}

export interface Version { readonly version: string; readonly commit: string; readonly node: string; readonly services: readonly string[] }

export interface HealthDeps {
  /** Why the engine is not ready yet, in words; empty once it was started. */
  starting(): readonly string[];
  /** What must answer from then on. */
  checks(): Checks;
  readonly door: Pick<HttpDoor, 'served'>;
  readonly metrics: { render(): ReturnType<Metrics['render']> };
  readonly version: Version;
}

export function createHealth({ starting, checks, door, metrics, version }: HealthDeps): Health {
  const loop = monitorEventLoopDelay();
  loop.enable();
  let isStopping = false;
  let known: { at: number; answers: Promise<Answers> } | undefined;
  let internal: Server | undefined;

  const ask = (): Promise<Answers> => {
    const why = starting();
    if (why.length > 0) return Promise.resolve({ reasons: [...why], remarks: {} });
    if (known === undefined || performance.now() - known.at > CACHED_MS) known = { at: performance.now(), answers: askAll(checks()) };
    return known.answers;
  };

  async function answer(path: string): Promise<{ status: number; body: object; reasons: string[]; remarks?: Answers['remarks'] } | undefined> {
    switch (path) {
      case '/livez': {
        const delayMs = loop.percentile(99) / 1e6;
        loop.reset();
        return { status: delayMs > LOOP_DELAY_MS_MAX ? 503 : 200, body: { live: delayMs <= LOOP_DELAY_MS_MAX }, reasons: [`event loop p99 ${delayMs.toFixed(1)} ms`] };
      }
      case '/readyz': {
        const { reasons, remarks } = isStopping ? { reasons: ['stopping'], remarks: {} } : await ask();
        return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0 }, reasons, remarks };
      }
      case '/version': return { status: 200, body: version, reasons: [] };
      case '/': return { status: 200, body: { name: 'TekAI Context Engine', ...version, see: door.served() }, reasons: [] };
      default: return undefined;
    }
  }

  async function answerInside(path: string): Promise<{ status: number; type: string; text: string }> {
    if (path === '/metrics') return { status: 200, ...(await metrics.render()) };
    const found = await answer(path);
    return { status: found?.status ?? 404, type: 'application/json', text: JSON.stringify({ ...found?.body, reasons: found?.reasons, remarks: found?.remarks }) };
  }

  return {
    handler: async (request: Request, response: Response, next) => {
      const found = request.method === 'GET' || request.method === 'HEAD' ? await answer(request.path) : undefined;
      if (found === undefined) next();
      else response.status(found.status).json(found.body);
    },
    async listen(port) {
      internal = createServer((request, response) => {
        void answerInside(request.url ?? '').then(({ status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text));
      });
      internal.listen(port, '0.0.0.0');
      await once(internal, 'listening').catch((error: unknown) => { throw portTaken('TEKAI_INTERNAL_PORT', port, error); });
      const address = internal.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    stopping: () => { isStopping = true; },
    async close() {
      loop.disable();
      if (internal?.listening !== true) return;
      internal.close();
      internal.closeAllConnections();
      await once(internal, 'close');
    },
  };
}

/** Why it is not ready; and what those who are say of themselves. */
interface Answers { readonly reasons: string[]; readonly remarks: Readonly<Record<string, string>> }

async function askAll(checks: Checks): Promise<Answers> {
  const remarks: Record<string, string> = {};
  const answers = await Promise.all(Object.entries(checks).map(([name, check]) =>
    withDeadline(check(), { ms: CHECK_MS_MAX, dependency: name }).then((remark) => { if (typeof remark === 'string') remarks[name] = remark; return []; }, (error: unknown) => [`${name}: ${error instanceof Error ? error.message : String(error)}`])));
  return { reasons: answers.flat(), remarks };
}

import http from 'node:http';
import type { Double } from '../double.ts';

interface Answer { readonly status: number; readonly body: unknown }
type Route = (double: Double, body: unknown) => Answer | Promise<Answer>;

const ok = (body: unknown = {}): Answer => ({ status: 200, body });
const BODY_BYTES_MAX = 65_536;

const ROUTES: Record<string, Route> = {
  'GET /state': ({ store, subscriptions, calls }) => ok({
    events: store.all.length, recentIds: store.recentIds(), subscriptions: subscriptions.size, calls: Object.fromEntries(calls),
  }),
  'GET /faults': ({ faults }) => ok(faults.list().map(({ left, ...fault }) => ({ ...fault, left: left === Infinity ? null : left }))),
  'POST /faults': ({ faults }, body) => refusing(() => ({ status: 201, body: { id: faults.add(body).id } })),
  'DELETE /faults': ({ faults }) => {
    faults.remove();
    return ok();
  },
  'GET /nodes': ({ nodes }) => ok(nodes.all().map((node) => ({ port: node.port, isUp: node.isUp, isLeader: node === nodes.leader() }))),
  'POST /lead': ({ nodes }, body) => refusing(() => ok(nodes.lead(nodeIn(body)))),
  'POST /take-down': ({ nodes }, body) => refusing(async () => ok(await nodes.takeDown(nodeIn(body)))),
  'POST /bring-up': ({ nodes }, body) => refusing(async () => ok(await nodes.bringUp(nodeIn(body)))),
  'POST /forget-recent-ids': ({ store }) => {
    store.forgetRecentIds();
    return ok();
  },
  'POST /drop-subscriptions': ({ subscriptions }) => {
    const dropped = [...subscriptions];
    for (const drop of dropped) drop();
    return ok({ dropped: dropped.length });
  },
};

const nodeIn = (body: unknown) => Number((body as { node?: unknown } | undefined)?.node ?? NaN);

/** What was asked for cannot be: the answer says why. */
async function refusing(work: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    return { status: 400, body: { error: (error as Error).message } };
  }
}

/** What tests tell the double to do, over HTTP: see README.md. Whatever it does not know is refused. */
export function createAdminDoor(double: Double): http.Server {
  return http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
    });
    request.on('end', () => {
      const answered = bytes > BODY_BYTES_MAX ? Promise.resolve({ status: 413, body: { error: 'too big' } }) : answer(double, request, Buffer.concat(chunks).toString());
      void answered.then(({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`));
    });
  });
}

async function answer(double: Double, { method = '', url = '' }: http.IncomingMessage, text: string): Promise<Answer> {
  const one = /^\/faults\/(\d+)$/.exec(url);
  if (one && method === 'DELETE') {
    double.faults.remove(Number(one[1]));
    return ok();
  }
  const route = `${method} ${url}`;
  if (!Object.hasOwn(ROUTES, route)) return { status: 404, body: { error: `no ${route}; there is ${Object.keys(ROUTES).join(', ')}` } };
  try {
    return await ROUTES[route]?.(double, text === '' ? undefined : JSON.parse(text)) ?? ok();
  } catch {
    return { status: 400, body: { error: 'the body is no JSON' } };
  }
}

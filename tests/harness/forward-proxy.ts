import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/** What came through: `CONNECT` for a tunnel (HTTPS, and HTTP of clients that always tunnel), else the method of a request that was handed on. */
export interface Passed {
  readonly method: string;
  /** Host and port as the client named them. */
  readonly target: string;
  /** What the proxy answered: 200 for a tunnel, 407 without the right credentials, 502 where nothing answers behind it. */
  readonly status: number;
}

export interface ForwardProxy {
  /** With user and password in it, where it wants some. */
  readonly url: string;
  readonly port: number;
  /** Everything that was asked of it, in order; refused requests too. */
  readonly passed: Passed[];
  /** User agents of those who were given a tunnel. */
  readonly agents: string[];
  stop(): Promise<void>;
}

export interface ForwardProxyOptions {
  /** Wanted as Basic `Proxy-Authorization`; else 407. */
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Host names that only this proxy knows: `gitlab.internal` → where it really is. Any port of the name leads there. */
  readonly hosts?: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
}

/** An HTTP forward proxy on 127.0.0.1 that tunnels (`CONNECT`) and hands on plain requests. */
export async function startForwardProxy({ credentials, hosts = {} }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const passed: Passed[] = [];
  const agents: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
  const isAllowed = (request: IncomingMessage) => wanted === undefined || request.headers['proxy-authorization'] === wanted;
  const placeOf = (name: string, port: number) => hosts[name] ?? { host: name, port };

  const server = createServer((request, response) => {
    handOn({ request, response, isAllowed: isAllowed(request), placeOf, log: (one) => void passed.push(one) });
  });
  server.on('connection', (socket: Socket) => { sockets.add(socket); socket.once('close', () => sockets.delete(socket)); });
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    const target = request.url ?? '';
    const say = (status: number, words: string, header = '') => {
      passed.push({ method: 'CONNECT', target, status });
      client.end(`HTTP/1.1 ${status} ${words}\r\n${header}Content-Length: 0\r\nConnection: close\r\n\r\n`);
    };
    client.on('error', () => client.destroy());
    if (!isAllowed(request)) { say(407, 'Proxy Authentication Required', 'Proxy-Authenticate: Basic realm="proxy"\r\n'); return; }
    const { hostname, port } = new URL(`http://${target}`);
    const upstream = connectTcp(placeOf(hostname, Number(port || 80)));
    sockets.add(upstream);
    upstream.once('close', () => sockets.delete(upstream));
    let isOpen = false;
    upstream.once('connect', () => {
      isOpen = true;
      passed.push({ method: 'CONNECT', target, status: 200 });
      agents.push(request.headers['user-agent'] ?? 'none');
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) upstream.write(head);
      pipeline(client, upstream, client, () => undefined);
    });
    upstream.on('error', () => { if (isOpen) client.destroy(); else say(502, 'Bad Gateway'); });
    client.once('close', () => upstream.destroy());
  });

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const who = credentials === undefined ? '' : `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`;
  return {
    url: `http://${who}127.0.0.1:${port}`, port, passed, agents,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A request with a whole address (`GET http://host/path`), as clients send plain HTTP to a proxy. */
function handOn({ request, response, isAllowed, placeOf, log }: {
  request: IncomingMessage; response: ServerResponse; isAllowed: boolean;
  placeOf(name: string, port: number): { host: string; port: number }; log(one: Passed): void;
}): void {
  const method = request.method ?? '';
  const address = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined;
  const refuse = (status: number, headers: Record<string, string> = {}) => {
    log({ method, target: address?.host ?? request.url ?? '', status });
    response.writeHead(status, { 'content-length': 0, ...headers }).end();
  };
  if (!isAllowed) { refuse(407, { 'proxy-authenticate': 'Basic realm="proxy"' }); return; }
  if (address === undefined) { refuse(400); return; }
  const headers = { ...request.headers };
  delete headers['proxy-authorization'];
  delete headers['proxy-connection'];
  const onward = httpRequest({ ...placeOf(address.hostname, Number(address.port || 80)), method, path: `${address.pathname}${address.search}`, headers }, (answer) => {
    log({ method, target: address.host, status: answer.statusCode ?? 0 });
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    pipeline(answer, response, () => undefined);
  });
  onward.on('error', () => { if (response.headersSent) response.destroy(); else refuse(502); });
  response.once('close', () => onward.destroy());
  pipeline(request, onward, () => undefined);
}

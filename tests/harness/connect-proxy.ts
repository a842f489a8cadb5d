import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ConnectProxy {
  readonly port: number;
  /** `CONNECT host:port` and `GET http://…` that were let through. */
  readonly passed: string[];
  /** What was refused for want of a login. */
  readonly refused: string[];
  /** User agents of tunnels: who came by this way. */
  readonly agents: string[];
  stop(): Promise<void>;
}

export interface ConnectProxyOptions {
  /** `user:password`; others are answered 407. */
  readonly login?: string;
  /** The proxy's own DNS: these names lead to this machine. Any other host is answered 502. */
  readonly hosts: readonly string[];
}

/** An HTTP proxy as companies have: tunnels for https, forwards http, wants a login, and alone knows certain names. */
export async function startConnectProxy({ login, hosts }: ConnectProxyOptions): Promise<ConnectProxy> {
  const passed: string[] = [];
  const refused: string[] = [];
  const agents: string[] = [];
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
  const sockets = new Set<Duplex>();
  const isLetIn = (request: IncomingMessage) => wanted === undefined || request.headers['proxy-authorization'] === wanted;
  const say = (request: IncomingMessage) => `${request.method} ${request.url}`;

  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '', 'http://none.invalid');
    if (!isLetIn(request)) { refused.push(say(request)); response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end('no'); return; }
    if (!hosts.includes(target.hostname)) { response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>unknown host</h1>'); return; }
    passed.push(say(request));
    const onward = httpRequest({ host: '127.0.0.1', port: target.port, path: target.pathname + target.search, method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connection', (socket) => { sockets.add(socket); socket.once('close', () => sockets.delete(socket)); });
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    const [host = '', port = ''] = (request.url ?? '').split(':');
    if (!isLetIn(request)) { refused.push(say(request)); socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n'); return; }
    if (!hosts.includes(host)) { socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'); return; }
    passed.push(say(request));
    agents.push(request.headers['user-agent'] ?? 'none');
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket);
      socket.pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, passed, refused, agents,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

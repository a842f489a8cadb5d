import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { installed } from './obtain.ts';
import { accepts, freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

/** Beside the sources, also for what is built. */
const CONFIGURATION = path.resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../nginx' : '../../../infra/nginx');
/** As infra/nginx/place.conf has it for production. */
const LIMIT = { perSecond: 1_000, burst: 2_000 };

export interface NginxOptions extends ServerOptions {
  /** Where each service is, `127.0.0.1:8080`; one or more of a kind. */
  readonly services: Readonly<Record<'ingress' | 'query-api' | 'notifier' | 'identity', readonly string[]>>;
  /** Then it speaks https only. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Requests of one address. */
  readonly limit?: { readonly perSecond: number; readonly burst: number };
}

/** The system's nginx with the configuration of infra/nginx, in which only place and port are of here. @throws NotHere without the program */
export async function startNginx({ directory, port, services, tls, limit = LIMIT }: NginxOptions): Promise<RunningServer> {
  const program = await obtainNginx();
  const own = port ?? await freePort();
  await mkdir(directory, { recursive: true });
  await cp(CONFIGURATION, directory, { recursive: true });
  const upstreams = Object.entries(services).map(([name, addresses]) => `upstream ${name} { ${addresses.map((address) => `server ${address} max_fails=1 fail_timeout=2s; `).join('')}keepalive 64; keepalive_timeout 3s; }\n`);
  await writeFile(path.join(directory, 'place.conf'), `${upstreams.join('')}limit_req_zone $counted zone=counted:10m rate=${limit.perSecond}r/s;\nlimit_req zone=counted burst=${limit.burst} nodelay;\nlimit_req_status 429;\naccess_log off;\n`);
  await writeFile(path.join(directory, 'listen.conf'), tls === undefined ? `listen 127.0.0.1:${own};\n` : `listen 127.0.0.1:${own} ssl;\nssl_certificate ${tls.certFile};\nssl_certificate_key ${tls.keyFile};\n`);
  // Else as nobody, who may not pass to a folder of root's.
  const account = process.getuid?.() === 0 ? 'user root; ' : '';
  return runServer({
    name: 'nginx', port: own, url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${own}`, command: program,
    args: ['-p', directory, '-c', path.join(directory, 'nginx.conf'), '-e', 'stderr', '-g', `daemon off; ${account}`],
    isReady: () => accepts(own),
  });
}

/** Where the program lies. */
export function obtainNginx(): Promise<string> {
  return installed('nginx', 'nginx-light');
}

import { startNginx } from '../servers/nginx.ts';
import type { RunningServer } from '../servers/server.ts';
import type { ServiceProcess } from './service-process.ts';

export interface GatewayOptions {
  readonly directory: string;
  readonly port: number;
  readonly services: readonly ServiceProcess[];
}

/** nginx in front of the doors, as infra/nginx has it, so that whoever asks needs one address. @throws NotHere without nginx */
export function startGateway({ directory, port, services }: GatewayOptions): Promise<RunningServer> {
  const addressesOf = (name: string) => services.filter((one) => one.name === name).map(({ url }) => new URL(url).host);
  return startNginx({ directory, port, services: { ingress: addressesOf('ingress'), identity: addressesOf('identity'), 'query-api': addressesOf('query-api'), notifier: addressesOf('notifier') } });
}

/** What services must know of the gateway before them. */
export const behindGateway = (url: string) => ({ TEKAI_PUBLIC_URL: url, TEKAI_TRUSTED_PROXIES: '127.0.0.1' });

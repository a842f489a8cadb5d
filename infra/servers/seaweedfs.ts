import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { obtain } from './obtain.ts';
import { S3_KEYS } from './s3proxy.ts';
import { freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

/** As infra/servers/seaweedfs/go.mod requires it. */
const VERSION = '20261109003541-7506e5f91cd6';
/** Where it listens beside S3: all are taken away from their usual numbers, of which a machine has one each. */
const PORTS = ['master.port', 'master.port.grpc', 'volume.port', 'volume.port.grpc', 'filer.port', 'filer.port.grpc', 's3.port.grpc'] as const;

export interface SeaweedfsOptions extends ServerOptions {
  /** Only where it was obtained before. */
  readonly isThere?: boolean;
}

/** SeaweedFS with its S3 gateway: master, volumes, filer and gateway in one process. @throws NotHere without Go */
export async function startSeaweedfs({ directory, port, isThere = false }: SeaweedfsOptions): Promise<RunningServer> {
  const program = path.join(await obtainSeaweedfs(isThere ? 'npm run -s server -- seaweedfs --dir /tmp/seaweedfs (minutes of both cores, once)' : undefined), 'weed');
  const own = port ?? await freePort();
  const url = `http://127.0.0.1:${own}`;
  await mkdir(directory, { recursive: true });
  const config = path.join(directory, 's3.json');
  await writeFile(config, JSON.stringify({ identities: [{ name: 'tekai', credentials: [S3_KEYS], actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'] }] }));
  const ports: string[] = [];
  for (const name of PORTS) ports.push(`-${name}=${await freePort()}`);
  return runServer({
    name: `seaweedfs ${VERSION}`, port: own, url, command: program,
    args: ['server', `-dir=${directory}`, '-ip=127.0.0.1', '-ip.bind=127.0.0.1', ...ports, '-filer', '-s3', `-s3.port=${own}`, `-s3.config=${config}`, '-s3.domainName=localhost',
      // A bucket that is not there is an error, to us as to others.
      '-s3.autoCreateBucket=false', '-s3.port.iceberg=0', '-s3.port.lance=0', '-master.volumeSizeLimitMB=64', '-volume.max=0', '-master.telemetry=false'],
    isReady: async () => (await fetch(`${url}/healthz`)).ok,
  });
}

function obtainSeaweedfs(byHand: string | undefined): Promise<string> {
  return obtain({
    name: `seaweedfs-${VERSION}`, command: 'sh', byHand,
    args: (folder) => ['-c', 'cp "$0" "$1" && cd "$1" && go build -mod=mod -p 2 -ldflags "-s -w" -o weed github.com/seaweedfs/seaweedfs/weed', path.join(import.meta.dirname, 'seaweedfs/go.mod'), folder],
  });
}

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { obtain } from './obtain.ts';
import { accepts, freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

const VERSION = 'v1.56.1';

/** fake-gcs-server, an emulator of Google Cloud Storage that others wrote; all in memory. @throws NotHere without Go */
export async function startFakeGcs({ directory, port }: ServerOptions): Promise<RunningServer> {
  const program = path.join(await obtainFakeGcs(), 'fake-gcs-server');
  const own = port ?? await freePort();
  const url = `http://127.0.0.1:${own}`;
  await mkdir(directory, { recursive: true });
  // Its answers name where an upload goes on.
  return runServer({ name: `fake-gcs-server ${VERSION}`, port: own, url, command: program, args: ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(own), '-backend', 'memory', '-external-url', url], isReady: () => accepts(own) });
}

export function obtainFakeGcs(): Promise<string> {
  return obtain({ name: `fake-gcs-${VERSION}`, command: 'go', args: () => ['install', `github.com/fsouza/fake-gcs-server@${VERSION}`], env: (folder) => ({ GOBIN: folder }) });
}

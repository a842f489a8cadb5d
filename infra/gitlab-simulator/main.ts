import { parseArgs } from 'node:util';

import { startSimulator, type SimulatorOptions } from './server.ts';

const USAGE = 'usage: main.js --dir <folder> [--port 0] [--host 127.0.0.1] [--admin-token X] [--root-token X] [--external-url U] [--gitlab-version V] [--tls-cert F --tls-key F [--tls-client-ca F]]';

function readOptions(): SimulatorOptions {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string' },
      'admin-token': { type: 'string' },
      'root-token': { type: 'string' },
      'external-url': { type: 'string' },
      'gitlab-version': { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'tls-client-ca': { type: 'string' },
    },
  });
  const { dir, port, host } = values;
  const [certFile, keyFile] = [values['tls-cert'], values['tls-key']];
  if (dir === undefined || !/^\d+$/.test(port)) throw new Error(USAGE);
  if ((certFile === undefined) !== (keyFile === undefined)) throw new Error(`--tls-cert and --tls-key go together; ${USAGE}`);
  const clientCaFile = values['tls-client-ca'];
  if (clientCaFile !== undefined && certFile === undefined) throw new Error(`--tls-client-ca needs --tls-cert; ${USAGE}`);
  const [externalUrl, version] = [values['external-url'], values['gitlab-version']];
  return {
    dir,
    port: Number(port),
    ...(host === undefined ? {} : { host }),
    ...(values['admin-token'] === undefined ? {} : { adminToken: values['admin-token'] }),
    ...(values['root-token'] === undefined ? {} : { rootToken: values['root-token'] }),
    ...(certFile !== undefined && keyFile !== undefined ? { tls: { certFile, keyFile, ...(clientCaFile === undefined ? {} : { clientCaFile }) } } : {}),
    settings: { ...(externalUrl === undefined ? {} : { externalUrl }), ...(version === undefined ? {} : { version }) },
  };
}

async function main(): Promise<void> {
  const simulator = await startSimulator(readOptions());
  const stop = (): void => void simulator.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const { url, token, adminToken } = simulator;
  process.stdout.write(`${JSON.stringify({ url, token, adminToken })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { S3_KEYS } from '../../infra/servers/s3proxy.ts';
import type { RunningServer } from '../../infra/servers/server.ts';
import { startEventstore } from '../../infra/stack/engines.ts';
import { behindGateway, startGateway } from '../../infra/stack/gateway.ts';
import { makeBucket } from '../../infra/stack/make-bucket.ts';
import { takePorts } from '../../infra/stack/ports.ts';
import { serviceProcess, type ServiceProcess } from '../../infra/stack/service-process.ts';
import { endServices, prepareServices, SERVICE_PORTS, startServices } from '../../infra/stack/services.ts';
import { applyTopics } from '../../infra/stack/stack.ts';
import type { EngineForm, FormOptions } from './engine-form.ts';

/** Where each of them is; the addresses as RunningServer names them. */
export interface StackEngines { readonly kafka: string; readonly redis: string; readonly s3: string }

export interface StackForm extends EngineForm {
  readonly services: ServiceProcess[];
  /** The double, with events of this system alone. */
  eventstore: RunningServer;
  /** The double anew, on its port and its folder. */
  startEventstore(): Promise<void>;
  /** Where the double is told what to do wrong. */
  readonly eventstoreAdmin: string;
  /** One more of a kind, not started; it ends with the others. */
  another(name: string): Promise<ServiceProcess>;
}

/** More than the processes of one kind, and few enough for a broker that many systems use. */
export const PARTITIONS = '8';

/** Every service as a process of its own, built, on engines of the run: in a database, topics, a bucket, a log and a folder of its own. */
export async function stackForm({ folder, stateDir, databaseUrl, settings, take, onLine }: FormOptions, engines = enginesOfRun()): Promise<StackForm> {
  const [port = 0, eventstorePort = 0, adminPort = 0, ...ports] = await takePorts(3 + SERVICE_PORTS);
  const openEventstore = () => startEventstore({ directory: path.join(folder, 'eventstore'), port: eventstorePort, adminPort });
  const name = `test-${randomBytes(6).toString('hex')}`;
  const [eventstore] = await Promise.all([openEventstore(), makeBucket(engines.s3, name)]);
  const stores = {
    TEKAI_STATE_DIR: stateDir, TEKAI_DATABASE_URL: databaseUrl, TEKAI_EVENTSTORE_URL: eventstore.url, TEKAI_KAFKA_URL: `kafka://${engines.kafka}?topics=${name}`, TEKAI_REDIS_URL: engines.redis,
    TEKAI_BLOBS_URL: `s3://${name}?endpoint=${engines.s3}`, TEKAI_BLOBS_ACCESS_KEY: S3_KEYS.accessKey, TEKAI_BLOBS_SECRET_KEY: S3_KEYS.secretKey,
  };
  const url = `http://127.0.0.1:${port}`;
  const options = {
    logDirectory: path.join(folder, 'logs'), settings: { ...stores, ...behindGateway(url), ...settings },
    onLine: (line: string) => { take(`${line}\n`); onLine?.(line); },
  };
  const services = await prepareServices({ ...options, ports });
  const [gateway] = await Promise.all([startGateway({ directory: path.join(folder, 'gateway'), port, services }), applyTopics(stores, ['--partitions', PARTITIONS])]);

  const form: StackForm = {
    url, stores, services, eventstore, eventstoreAdmin: `http://127.0.0.1:${adminPort}`,
    internalUrl: services.find((one) => one.name === 'query-api')?.internalUrl ?? '',
    async start(names) {
      // What carries facts from the log to whoever works on them is no service of the embedded form, and named by nobody.
      await startServices(services, names.length === 0 ? undefined : [...names, 'relay']);
      const child = services.find((one) => one.isRunning && (names.length === 0 || names.includes(one.name)))?.child;
      if (child === undefined) throw new Error(`there is no service ${names.join(', ')}`);
      return child;
    },
    async startEventstore() { form.eventstore = await openEventstore(); },
    async another(name) {
      const [own = 0, internal = 0] = await takePorts(2);
      const one = serviceProcess({ ...options, name, label: `${name}-${services.filter((other) => other.name === name).length + 1}`, port: own, internalPort: internal });
      services.push(one);
      return one;
    },
    kill: (signal) => endServices(services, signal),
    async stop() {
      await endServices(services, 'SIGTERM');
      await Promise.all([gateway.stop(), form.eventstore.stop()]);
    },
  };
  return form;
}

/** @throws where this machine lacks one of them */
export function enginesOfRun(): StackEngines {
  const [kafka = '', redis = '', s3 = ''] = ['KAFKA', 'REDIS', 'S3'].map((name) => process.env[`TEKAI_TEST_${name}`] ?? '');
  if (kafka === '' || redis === '' || s3 === '') throw new Error('the stack form wants Kafka, Redis and S3: run it by jest.stack.config.js');
  return { kafka, redis, s3 };
}

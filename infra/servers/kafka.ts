import { execFile } from 'node:child_process';
import { access, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { installed, obtain } from './obtain.ts';
import { accepts, freePort, runServer, type RunningServer, type ServerOptions } from './server.ts';

const run = promisify(execFile);
/** It stays beside the sources. */
const POM = path.resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? 'kafka/pom.xml' : '../../../infra/servers/kafka/pom.xml');
/** As in the pom. */
export const KAFKA_VERSION = '4.1.1';
/** Any 16 bytes; the same for the brokers of one cluster. */
const CLUSTER_ID = '4L6g3nShT-eMCtK--X86sw';
const HEAP = '-Xmx512m';

export interface KafkaOptions extends ServerOptions {
  /** Of a cluster of several: this one's id, and where each one's controller listens. By default a cluster of one. */
  readonly node?: { readonly id: number; readonly controllers: readonly { readonly id: number; readonly port: number }[] };
  /** A second listener, with TLS and a login. */
  readonly secure?: Secure | undefined;
  /** More lines of server.properties, which win. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** The certificate of 127.0.0.1 with its key (PKCS 8), as PEM; and who may log in, by PLAIN and by SCRAM of both lengths. */
export interface Secure { readonly port: number; readonly certPem: string; readonly keyPem: string; readonly users: Readonly<Record<string, string>> }

/** A broker and controller of real Apache Kafka (KRaft). A folder that was used before is gone on with. @throws NotHere without Java or Maven */
export async function startKafka({ directory, port, node, secure, properties = {} }: KafkaOptions): Promise<RunningServer> {
  const java = await installed('java', 'default-jre-headless');
  const jars = await obtainKafka();
  const own = port ?? await freePort();
  const { id, controllers } = node ?? { id: 1, controllers: [{ id: 1, port: await freePort() }] };
  const controllerPort = controllers.find((one) => one.id === id)?.port ?? 0;
  const logs = path.join(directory, 'logs');
  const file = path.join(directory, 'server.properties');
  const copies = String(Math.min(3, controllers.length));
  await mkdir(directory, { recursive: true });
  await writeFile(file, Object.entries({
    'process.roles': 'broker,controller', 'node.id': String(id),
    'controller.quorum.voters': controllers.map((one) => `${one.id}@127.0.0.1:${one.port}`).join(','),
    'listeners': `PLAINTEXT://127.0.0.1:${own}${secured(secure)},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${own}${secured(secure)}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    'log.dirs': logs,
    'offsets.topic.replication.factor': copies, 'offsets.topic.num.partitions': '8',
    'transaction.state.log.replication.factor': copies, 'transaction.state.log.min.isr': '1',
    // As in production: whoever needs a topic makes it by `tekai topics apply`.
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    // So that a test of who dies need not wait half a minute.
    'group.min.session.timeout.ms': '500',
    ...(secure === undefined ? {} : await secureProperties(directory, secure)),
    ...properties,
  }).map(([name, value]) => `${name}=${value}\n`).join(''));
  const classpath = ['-cp', path.join(jars, '*')];
  const isNew = await access(path.join(logs, 'meta.properties')).then(() => false, () => true);
  if (isNew) await run(java, [HEAP, ...classpath, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', file, ...scramUsers(secure)]);
  return runServer({ name: `kafka ${KAFKA_VERSION}`, port: own, url: `127.0.0.1:${own}`, command: java, args: [HEAP, ...classpath, 'kafka.Kafka', file], isReady: () => accepts(own) });
}

const secured = (secure: Secure | undefined) => (secure === undefined ? '' : `,SASL_SSL://127.0.0.1:${secure.port}`);

async function secureProperties(directory: string, { certPem, keyPem, users }: Secure): Promise<Record<string, string>> {
  const store = path.join(directory, 'keystore.pem');
  await writeFile(store, `${keyPem}\n${certPem}`, { mode: 0o600 });
  const plain = Object.entries(users).map(([name, word]) => `user_${name}="${word}"`).join(' ');
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  return {
    'ssl.keystore.type': 'PEM', 'ssl.keystore.location': store,
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.sasl_ssl.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${plain};`,
    'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': scram, 'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': scram,
  };
}

/** Of SCRAM they are records of the cluster, which it is made with. */
function scramUsers(secure: Secure | undefined): string[] {
  return Object.entries(secure?.users ?? {}).flatMap(([name, word]) => ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${name},password=${word}]`]));
}

/** The folder of jars. */
export function obtainKafka(): Promise<string> {
  return obtain({ name: `kafka-${KAFKA_VERSION}`, command: 'mvn', args: (folder) => ['-q', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`] });
}

import path from 'node:path';
import { startKafka } from './kafka.ts';
import { freePort, type RunningServer, type ServerOptions } from './server.ts';

export interface KafkaCluster {
  /** `127.0.0.1:9092,127.0.0.1:9093,…` */
  readonly url: string;
  readonly brokers: readonly RunningServer[];
  /** One that was killed comes again, with what it had. */
  restart(index: number): Promise<void>;
  kill(): Promise<void>;
}

/** Three are the least of which one may go. */
const BROKERS = 3;

/** Several brokers that are one cluster, each a controller too. @throws NotHere without Java or Maven */
export async function startKafkaCluster({ directory }: Pick<ServerOptions, 'directory'>): Promise<KafkaCluster> {
  const ports: number[] = [];
  const controllers: { readonly id: number; readonly port: number }[] = [];
  for (let id = 1; id <= BROKERS; id += 1) {
    ports.push(await freePort());
    controllers.push({ id, port: await freePort() });
  }
  const start = (index: number) => startKafka({ directory: path.join(directory, `broker-${index + 1}`), port: ports[index]!, node: { id: index + 1, controllers } });
  // All at once: none serves before there are two.
  const brokers = await Promise.all(ports.map((_, index) => start(index)));

  return {
    url: brokers.map(({ url }) => url).join(','), brokers,
    async restart(index) { brokers[index] = await start(index); },
    async kill() { await Promise.all(brokers.map((broker) => broker.kill())); },
  };
}

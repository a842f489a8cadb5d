import { startKafka } from '../../../infra/servers/kafka.ts';
import type { Drill } from '../../drills/drill.ts';
import { withOwnServer } from './own-server.ts';
import { restart } from './restarts.ts';
import { drillStack, whyNotHere } from './stack-drill.ts';

export const kafkaRestarted: Drill = {
  name: 'kafka-restarted',
  says: 'Kafka is killed, and told to stop, and starts again: every delivery is taken meanwhile, work goes on by itself after (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => withOwnServer(
    { ports: 2, start: ({ directory, ports: [port = 0, controller = 0] }) => startKafka({ directory, port, node: { id: 1, controllers: [{ id: 1, port: controller }] } }) },
    (server) => drillStack(how, { engines: { kafka: server.url }, breakIt: (world) => restart(world, { server, signals: ['SIGKILL', 'SIGTERM'] }) }),
  ),
};

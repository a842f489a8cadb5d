import { startRedis } from '../../../infra/servers/redis.ts';
import type { Drill } from '../../drills/drill.ts';
import { withOwnServer } from './own-server.ts';
import { restart } from './restarts.ts';
import { drillStack, whyNotHere } from './stack-drill.ts';

export const redisRestarted: Drill = {
  name: 'redis-restarted',
  says: 'Redis is killed, and told to stop, and starts again empty: pushes are stored also while it is away (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => withOwnServer(
    { ports: 1, start: ({ directory, ports: [port = 0] }) => startRedis({ directory, port }) },
    (server) => drillStack(how, { engines: { redis: server.url }, breakIt: (world) => restart(world, { server, signals: ['SIGKILL', 'SIGTERM'], met: 'Redis is away', isDoneWithout: true }) }),
  ),
};

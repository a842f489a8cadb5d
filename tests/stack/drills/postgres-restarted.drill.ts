import { startPostgres } from '../../../infra/servers/postgres.ts';
import type { Drill } from '../../drills/drill.ts';
import { withOwnServer } from './own-server.ts';
import { restart } from './restarts.ts';
import { drillStack, whyNotHere } from './stack-drill.ts';

export const postgresRestarted: Drill = {
  name: 'postgres-restarted',
  says: 'Postgres is stopped as an operator does, and killed, and starts again: every delivery is spooled meanwhile, no service ends, work goes on by itself after (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => withOwnServer(
    { ports: 1, start: ({ directory, ports: [port = 0] }) => startPostgres({ directory, port }) },
    // SIGINT is what `pg_ctl stop` sends: whoever is connected is cut off.
    (server) => drillStack(how, { databaseUrl: server.url, breakIt: (world) => restart(world, { server, signals: ['SIGINT', 'SIGKILL'], met: 'spooling' }) }),
  ),
};

import type { Drill } from '../../drills/drill.ts';
import { endServer } from './own-server.ts';
import { restart } from './restarts.ts';
import { drillStack, whyNotHere } from './stack-drill.ts';

export const eventstoreKilled: Drill = {
  name: 'eventstore-killed',
  says: 'EventStoreDB (its double) is killed, twice, and starts again without its recent ids: every delivery is taken into the spool meanwhile, work goes on by itself after (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => drillStack(how, {
    breakIt: (world) => restart(world, {
      server: { name: 'the event store', end: (signal) => endServer(world.stack.eventstore, signal), start: world.stack.startEventstore }, signals: ['SIGKILL', 'SIGKILL'], met: 'spooling',
    }),
  }),
};

import type { Drill } from '../../drills/drill.ts';
import { restart } from './restarts.ts';
import { drillStack, whyNotHere } from './stack-drill.ts';

export const eventstoreStopped: Drill = {
  name: 'eventstore-stopped',
  says: 'EventStoreDB (its double) stands still, with what it was asked in hand, and goes on: every delivery is spooled meanwhile, work goes on by itself after (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => drillStack(how, {
    breakIt: (world) => restart(world, {
      server: {
        name: 'the event store',
        end: async (signal) => { world.stack.eventstore.child.kill(signal); },
        start: async () => { world.stack.eventstore.child.kill('SIGCONT'); },
      },
      signals: ['SIGSTOP'], met: 'spooling',
    }),
  }),
};

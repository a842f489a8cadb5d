import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceProcess } from '../../../infra/stack/service-process.ts';
import type { Drill } from '../../drills/drill.ts';
import { until } from '../../harness/system.ts';
import { drillStack, STATE_MS_MAX, untilBusy, untilGoesOn, whyNotHere, type StackWorld } from './stack-drill.ts';

const TURNS = 5;
const LIFE_MS_MAX = 500;
/** As it says it itself when it goes on, or sees that another leads. */
const LEFT = 'the work is left to whoever has it now';

export const twoRelays: Drill = {
  name: 'two-relays',
  says: 'of two relays the one that writes is stopped for longer than its lease, and goes on while the other writes: what stands in Kafka is the log (I2, I3, I4)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => drillStack(how, { breakIt: stop }),
};

async function stop({ system, stack, chance, isShort, note }: StackWorld): Promise<string> {
  await (await stack.another('relay')).start();
  const relays = stack.services.filter(({ name }) => name === 'relay');
  const turns = isShort ? 1 : TURNS;
  for (let turn = 0; turn < turns; turn += 1) {
    const writes = await until('a relay writes', () => leaderOf(relays), STATE_MS_MAX);
    await untilBusy(system);
    await sleep(chance.random() * LIFE_MS_MAX);
    writes.child?.kill('SIGSTOP');
    note(`${writes.label} is stopped`);
    await until('the other writes', () => leaderOf(relays.filter((one) => one !== writes)), STATE_MS_MAX);
    await untilGoesOn(system);
    const left = timesLeft(system.log());
    writes.child?.kill('SIGCONT');
    await until('the one that was stopped has seen it', () => timesLeft(system.log()) > left);
    note('it goes on, and has seen that another writes');
    await untilGoesOn(system);
  }
  return `${turns} stops of the relay that wrote`;
}

async function leaderOf(relays: readonly ServiceProcess[]): Promise<ServiceProcess | undefined> {
  for (const one of relays) {
    const metrics = await (await fetch(`${one.internalUrl}/metrics`)).text();
    if (/^tekai_relay_leads(?:\{.*\})? 1$/m.test(metrics)) return one;
  }
  return undefined;
}

const timesLeft = (log: string) => log.split('\n').filter((line) => line.includes('"lease":"relay"') && line.includes(LEFT)).length;

import { setTimeout as sleep } from 'node:timers/promises';
import { endServices, startServices } from '../../../infra/stack/services.ts';
import { inOrderOfChance, type Drill } from '../../drills/drill.ts';
import { drillStack, untilBusy, whyNotHere, type StackWorld } from './stack-drill.ts';

/** How often each service is met. */
const TURNS = 6;
/** Of one kill: so many services at most, of each one process or all. */
const SERVICES_MAX = 3;
/** From where something is under way to the kill. */
const LIFE_MS_MAX = 1_500;
/** Then they are started again. A partition of a killed worker is left to others after 30 s. */
const AWAY_MS_MAX = 3_000;

export const servicesKilled: Drill = {
  name: 'services-killed',
  says: 'kill -9 of any one or several service processes at any moment: nothing answered 2xx is lost, nothing doubled, all goes on when they are started again (I1 to I6, I11)',
  minutesMax: 30,
  whyNotHere,
  run: (how) => drillStack(how, { areServicesKilled: true, breakIt: killAll }),
};

async function killAll({ system, stack, chance, isShort, note }: StackWorld): Promise<string> {
  const names = [...new Set(stack.services.map(({ name }) => name))];
  let [kills, processes] = [0, 0];
  for (let turn = 0; turn < (isShort ? 1 : TURNS); turn += 1) {
    for (const left = inOrderOfChance(names, chance); left.length > 0; kills += 1) {
      const chosen = left.splice(0, 1 + chance.below(SERVICES_MAX));
      const victims = chosen.flatMap((name) => {
        const ofKind = stack.services.filter((one) => one.name === name);
        return chance.random() < 0.5 ? ofKind : [chance.oneOf(ofKind)];
      });
      await untilBusy(system);
      // Not waits for a state: that they die at a moment nobody chose is the drill's very point.
      await sleep(chance.random() * LIFE_MS_MAX);
      await endServices(victims, 'SIGKILL');
      note(`killed: ${victims.map(({ label }) => label).join(', ')}`);
      await sleep(chance.random() * AWAY_MS_MAX);
      await startServices(victims);
      processes += victims.length;
    }
  }
  return `${kills} kills of ${processes} processes, each of ${names.length} services ${isShort ? 1 : TURNS} times`;
}

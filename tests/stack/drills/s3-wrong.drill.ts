import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { enginesOfRun } from '../../harness/stack-form.ts';
import { until } from '../../harness/system.ts';
import type { Drill } from '../../drills/drill.ts';
import { cutAnswer, cutRequest, openWay, refuse, type Way } from '../failing-way.ts';
import { drillStack, STATE_MS_MAX, untilBusy, untilGoesOn, whyNotHere, type StackWorld } from './stack-drill.ts';

const WRONG_MS = 600_000;
const WRONG_MS_SHORT = 60_000;
/** Of the requests. What is asked four times fails three times in ten: some steps go on, and some wait. */
const SHARE = 0.75;
const FAULTS = { 500: refuse(500), 503: refuse(503), 'cut answer': cutAnswer, 'cut request': cutRequest } as const;
type Kind = keyof typeof FAULTS;

export const s3Wrong: Drill = {
  name: 's3-wrong',
  says: 'S3 answers 500 and 503, cuts what it is sent and what it answers, for minutes: work waits, nothing parks, all is stored after, and is git\'s (I1 to I6)',
  minutesMax: 30,
  whyNotHere,
  async run(how) {
    const way = await openWay(enginesOfRun().s3);
    try {
      return await drillStack(how, { engines: { s3: way.url }, breakIt: (world) => goWrong(world, way) });
    } finally {
      await way.close();
    }
  },
};

async function goWrong({ system, chance, isShort, note }: StackWorld, way: Way): Promise<string> {
  await untilBusy(system);
  const met = new Map<string, number>();
  const before = timesWaited(system.log());
  way.fault = (request, response, pass) => {
    if (chance.random() >= SHARE) return pass();
    const kind = chance.oneOf(Object.keys(FAULTS) as Kind[]);
    const what = `${kind} of ${request.method}`;
    met.set(what, (met.get(what) ?? 0) + 1);
    FAULTS[kind](request, response, pass);
  };
  note('S3 is wrong');
  await sleep(isShort ? WRONG_MS_SHORT : WRONG_MS);
  await until('a step waits for S3', () => timesWaited(system.log()) > before, STATE_MS_MAX);
  way.fault = undefined;
  note('S3 is right again');
  note(`met: ${[...met].map(([what, count]) => `${count} ${what}`).join(', ')}`);
  for (const kind of Object.keys(FAULTS)) for (const method of ['GET', 'PUT']) assert.ok(met.has(`${kind} of ${method}`), `nobody met a ${kind} of ${method}: the drill drilled less than it says`);
  await untilGoesOn(system);
  return `S3 wrong for ${(isShort ? WRONG_MS_SHORT : WRONG_MS) / 60_000} min, ${[...met.values()].reduce((sum, count) => sum + count, 0)} requests, ${timesWaited(system.log()) - before} waits`;
}

const timesWaited = (log: string) => log.match(/"reason":"[^"]*blob store/g)?.length ?? 0;

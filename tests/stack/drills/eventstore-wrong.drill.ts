import assert from 'node:assert/strict';
import { until } from '../../harness/system.ts';
import { inOrderOfChance, type Drill } from '../../drills/drill.ts';
import { drillStack, STATE_MS_MAX, untilGoesOn, whyNotHere, type StackWorld } from './stack-drill.ts';

/** What it does wrong, each so many times in a turn, as its README names it. Of the three that store and do not say so, nobody but the store knows that they stored. */
const WRONGS = [
  { kind: 'time-out-after-storing', times: 6 },
  { kind: 'cut-after-storing', times: 6 },
  { kind: 'silent', on: 'append', times: 4 },
  { kind: 'slow-commit', delayMs: 7_000, times: 4 },
  { kind: 'not-ready', on: 'append', times: 6 },
  { kind: 'answer-twice', on: 'subscribe', times: 6 },
  { kind: 'end-mid-stream', on: 'subscribe', afterEvents: 3, times: 6 },
  { kind: 'end-mid-stream', on: 'read', times: 6 },
] as const;
const TURNS = 4;

export const eventstoreWrong: Drill = {
  name: 'eventstore-wrong',
  says: 'EventStoreDB (its double) stores and says that it did not, or nothing, cuts connections, says everything twice, stops in the middle: each fact is in the log once, and all goes on by itself (I1 to I6)',
  minutesMax: 20,
  whyNotHere,
  run: (how) => drillStack(how, { breakIt: goWrong }),
};

async function goWrong({ system, stack, chance, isShort, note }: StackWorld): Promise<string> {
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${stack.eventstoreAdmin}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    assert.ok(answer.ok, `${method} ${path} of the event store: ${answer.status}`);
    return answer.json() as Promise<unknown>;
  };
  let met = 0;
  for (let turn = 0; turn < (isShort ? 1 : TURNS); turn += 1) {
    for (const wrong of inOrderOfChance(WRONGS, chance)) {
      const { id } = await ask('POST', '/faults', wrong) as { id: number };
      // What is wrong with a subscription is so from its beginning.
      if ('on' in wrong && wrong.on === 'subscribe') await ask('POST', '/drop-subscriptions');
      await until(`${wrong.kind} was met ${wrong.times} times`, async () => (await ask('GET', '/faults') as { id: number; left: number }[]).some((one) => one.id === id && one.left === 0), STATE_MS_MAX);
      note(`${wrong.kind} was met ${wrong.times} times`);
      met += wrong.times;
      await untilGoesOn(system);
    }
  }
  return `${met} times wrong in ${WRONGS.length} ways`;
}

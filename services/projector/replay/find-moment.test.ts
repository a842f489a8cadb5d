import { positionOutside } from '#schemas/positions.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { History } from '../history.fixture.ts';
import { findMoment } from './find-moment.ts';

const never = new AbortController().signal;
const find = (log: EventLog, text: string) => findMoment({ log, now: () => new Date('2026-06-01') }, text, never);

async function logOf(history: History): Promise<EventLog> {
  const log = createMemoryEventLog();
  for (const fact of history.facts) await log.append(fact.stream, fact.revision === 0 ? 'noStream' : fact.revision - 1, [fact]);
  return log;
}

test('a time asks for the last fact that was recorded by then; a position for itself', async () => {
  const history = new History();
  for (let n = 0; n < 6; n += 1) history.sourceRegistered();
  const log = await logOf(history);
  const epoch = await log.epoch();
  expect(await find(log, History.at(3))).toBe(history.facts[3]?.position);
  expect(await find(log, positionOutside(epoch, history.facts[1]!.position))).toBe(history.facts[1]?.position);
});

test('a moment that is not is told with what there is', async () => {
  await expect(find(createMemoryEventLog(), '2026-01-31T12:00:00Z')).rejects.toThrow('The log holds no facts');
  const history = new History();
  history.sourceRegistered();
  history.sourceRegistered();
  const log = await logOf(history);
  const newest = positionOutside(await log.epoch(), await log.head());
  for (const [moment, said] of [
    [`00000000-${newest.slice(9)}`, 'is of another log'],
    [`${newest.slice(0, -6)}999999`, `the newest is ${newest}`],
    [`${newest.slice(0, 9)}12`, `the newest is ${newest}`],
    [newest.slice(0, 9), 'is before the first fact'],
    ['2001-01-01T00:00:00Z', 'Nothing was recorded by 2001-01-01T00:00:00.000Z: the first fact is of 2026-01-01'],
    ['2901-01-01T00:00:00Z', 'is still to come'],
    ['yesterday', 'is no moment'],
    ['2026-01-01T00:00:00', 'is no moment'],
  ] as const) await expect(find(log, moment)).rejects.toThrow(said);
});

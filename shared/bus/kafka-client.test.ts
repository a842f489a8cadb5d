import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import { inTime, leave, REQUEST_MS_MAX } from './kafka-client.ts';
import { KAFKA_TIMING } from './kafka-membership.ts';

const never = new Promise<never>(() => undefined);

describe('what is asked of kafkajs', () => {
  test('and never answered is given up, and it is said what was being done', async () => {
    await expect(inTime('write facts', never, 20)).rejects.toThrow(new Unavailable('kafka', 'cannot write facts: no answer for 0.02 s'));
  });

  test('gives what it gives, or throws what it throws', async () => {
    await expect(inTime('ask', sleep(5).then(() => 7))).resolves.toBe(7);
    await expect(inTime('ask', sleep(5).then(() => { throw new TypeError('no'); }))).rejects.toThrow(new TypeError('no'));
  });

  test('is left behind when it does not end, or fails to', async () => {
    await leave({ disconnect: () => never }, 20);
    await leave({ disconnect: () => Promise.reject(new Error('no')) });
  });
});

test('a broker gives up a dead member before kafkajs gives up the broker: else who comes anew is one more of the dead', () => {
  expect(KAFKA_TIMING.rebalanceMs).toBeLessThan(REQUEST_MS_MAX);
});

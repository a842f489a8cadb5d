import { randomUUID } from 'node:crypto';
import { until } from '#shared/bus/bus-bench.contract.ts';
import type { RequestHolds } from './request-holds.ts';

/** `open` gives the holds as another process has them, each time; of one process only, the same again. */
export function requestHoldsContract(name: string, open: () => RequestHolds): void {
  describe(`${name} are pauses of requests`, () => {
    test('a pause that one was asked for is kept by all who ask as the same, and by nobody else', async () => {
      const [here, there, whom] = [open(), open(), randomUUID()];
      expect(await there.leftMs(whom)).toBe(0);
      here.hold(whom, 600_000);
      await until('the other knows', async () => (await there.leftMs(whom)) > 0);
      expect(await there.leftMs(whom)).toBeLessThanOrEqual(600_000);
      expect(await there.leftMs(randomUUID())).toBe(0);
    });

    test('it ends by itself, and a shorter one ends no longer one', async () => {
      const [here, there, whom] = [open(), open(), randomUUID()];
      there.hold(whom, 600_000);
      await until('the one knows', async () => (await here.leftMs(whom)) > 0);
      here.hold(whom, 1);
      await until('time has passed for both', async () => (await there.leftMs(whom)) < 599_990 && (await here.leftMs(whom)) < 599_990);
      expect(await here.leftMs(whom)).toBeGreaterThan(500_000);
      const brief = randomUUID();
      here.hold(brief, 20);
      await until('it has ended', async () => (await here.leftMs(brief)) === 0 && (await there.leftMs(brief)) === 0);
    });
  });
}

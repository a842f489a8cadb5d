import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestCounts } from './request-counts.ts';

/** `open` gives the counts as another process has them, each time; of one process only, the same again. */
export function requestCountsContract(name: string, open: () => RequestCounts): void {
  describe(`${name} count requests`, () => {
    test('each is counted once, whoever counts and however many at once, and keys do not see each other', async () => {
      const [here, there, key] = [open(), open(), randomUUID()];
      const counts = await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? here : there).count(key, 60_000)));
      expect(counts.map(({ count }) => count).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
      expect((await here.count(randomUUID(), 60_000)).count).toBe(1);
      for (const { endsAt } of counts) expect(endsAt.getTime()).toBeLessThanOrEqual(Date.now() + 60_000);
    });

    test('the window begins with the first, is not made longer by the next, and ends', async () => {
      const [counts, key] = [open(), randomUUID()];
      let last = 0;
      for (const end = performance.now() + 30_000; performance.now() < end; await sleep(20)) {
        const { count } = await counts.count(key, 200);
        if (count <= last) return;
        last = count;
      }
      throw new Error(`after ${last} requests within 30 s the window of 200 ms had not ended`);
    });
  });
}

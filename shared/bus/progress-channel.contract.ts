import type { Progress } from './bus.ts';
import { until } from './bus-bench.contract.ts';
import type { ProgressChannel } from './progress-channel.ts';

/** `open` gives the channel as another process has it, each time. */
export function progressChannelContract(name: string, open: () => ProgressChannel): void {
  const progress = (objectsDone: number, ref = 'refs/heads/main') => ({ syncId: 's', codebaseId: 'c', ref, step: 'fetch', objectsDone, objectsTotal: null, bytesDone: 1 }) as unknown as Progress;

  describe(`${name} is a channel for progress`, () => {
    test('it reaches who listens, here and elsewhere, once, until they listen no longer', async () => {
      const [teller, elsewhere] = [open(), open()];
      const heard = { here: [] as number[], there: [] as number[] };
      const deafen = [teller.listen(({ objectsDone }) => heard.here.push(objectsDone)), elsewhere.listen(({ objectsDone }) => heard.there.push(objectsDone))];
      let told = 0;
      // Some may be lost on the way, the last one too, or overtake each other: of those that come, each comes once.
      await until('it is heard elsewhere', () => { teller.tell(progress(told += 1)); return heard.there.length > 2; }).finally(() => { for (const stop of deafen) stop(); });
      for (const numbers of [heard.here, heard.there]) expect(new Set(numbers).size).toBe(numbers.length);
      const before = heard.here.length;
      teller.tell(progress(told + 1));
      expect(heard.here).toHaveLength(before);
    });

    test('what is too long for the way elsewhere is lost there, and harms nothing', async () => {
      const [teller, elsewhere] = [open(), open()];
      const heard: number[] = [];
      const stop = elsewhere.listen(({ objectsDone }) => heard.push(objectsDone));
      let told = 10;
      teller.tell(progress(1, `refs/heads/${'x'.repeat(9_000)}`));
      await until('what comes after it is heard', () => { teller.tell(progress(told += 1)); return heard.some((one) => one > 10); }).finally(stop);
    });
  });
}

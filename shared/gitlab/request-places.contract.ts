import { randomUUID } from 'node:crypto';
import type { RequestPlaces } from './request-places.ts';

/** `open` gives the places as another process has them, each time, `placesMax` in all; of one process only, the same again. */
export function requestPlacesContract(name: string, { placesMax, open }: { readonly placesMax: number; open(): RequestPlaces }): void {
  describe(`${name} are places for requests`, () => {
    test('never are more taken than there are, whoever takes them, and everybody who waits comes in', async () => {
      const [here, there, gitlab] = [open(), open(), randomUUID()];
      let [inside, most] = [0, 0];
      const work = async (places: RequestPlaces) => {
        const release = await places.take(gitlab);
        inside += 1;
        most = Math.max(most, inside);
        for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
        inside -= 1;
        release();
        release();
      };
      await Promise.all(Array.from({ length: placesMax * 8 }, (_, n) => work(n % 2 === 0 ? here : there)));
      expect(most).toBe(placesMax);
    });

    test('a wait that is told to stop takes no place, and one GitLab does not wait for another', async () => {
      const [here, there, gitlab] = [open(), open(), randomUUID()];
      const taken = await Promise.all(Array.from({ length: placesMax }, () => here.take(gitlab)));
      const stopping = new AbortController();
      const stopped = there.take(gitlab, stopping.signal);
      (await there.take(randomUUID()))();
      stopping.abort(new Error('told to stop'));
      await expect(stopped).rejects.toThrow('told to stop');
      for (const release of taken) release();
      for (const release of await Promise.all(Array.from({ length: placesMax }, () => there.take(gitlab)))) release();
    });
  });
}

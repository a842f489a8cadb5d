import { requestPlacesContract } from './request-places.contract.ts';
import { createKeyedSlots, createSlots } from './slots.ts';

const places = createKeyedSlots(3);
requestPlacesContract('the slots of a process', { placesMax: 3, open: () => places });

describe('slots', () => {
  test('let in as many as there are, the rest in the order they came', async () => {
    const slots = createSlots(2);
    const order: string[] = [];
    const enter = async (name: string) => { const release = await slots.take(); order.push(name); return release; };
    const [a, b] = await Promise.all([enter('a'), enter('b')]);
    const c = enter('c');
    const d = enter('d');
    expect(order).toEqual(['a', 'b']);
    a();
    a();
    (await c)();
    b();
    (await d)();
    expect(order).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a wait that is told to stop leaves the queue and takes no slot', async () => {
    const slots = createSlots(1);
    const release = await slots.take();
    const stopping = new AbortController();
    const stopped = slots.take(stopping.signal);
    const next = slots.take();
    stopping.abort(new Error('told to stop'));
    await expect(stopped).rejects.toThrow('told to stop');
    await expect(slots.take(AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    release();
    (await next)();
    (await slots.take())();
  });

  test('keys do not wait for each other, one key does for itself', async () => {
    const keyed = createKeyedSlots(1);
    const first = await keyed.take('a');
    (await keyed.take('b'))();
    let isIn = false;
    const second = keyed.take('a').then((release) => { isIn = true; return release; });
    (await keyed.take('b'))();
    expect(isIn).toBe(false);
    first();
    (await second)();
  });
});

import { randomUUID } from 'node:crypto';
import type { FactId, SourceId } from '#schemas/brand.ts';
import { createSourcePlaces } from './source-places.ts';

const [A, B] = [randomUUID() as SourceId, randomUUID() as SourceId];
const fact = () => randomUUID() as FactId;

test('a source whose places are all taken leaves those of others free (I12), and whoever waits is next, though others ask again and again', async () => {
  const places = createSourcePlaces(2);
  const [first] = [places.take(A, fact()), places.take(A, fact())];
  expect(places.take(A, fact())).toBeUndefined();
  expect(places.take(B, fact())).toBeDefined();

  const waiting = fact();
  const kept = places.reserve(A, waiting, new AbortController().signal);
  first?.();
  await kept;
  expect(places.take(A, fact())).toBeUndefined();
  const own = places.take(A, waiting);
  expect(own).toBeDefined();
  own?.();
  expect(places.take(A, fact())).toBeDefined();
});

test('who is told to stop while waiting takes no place', async () => {
  const places = createSourcePlaces(1);
  const release = places.take(A, fact());
  const stopping = new AbortController();
  const stopped = fact();
  const waiting = places.reserve(A, stopped, stopping.signal);
  stopping.abort();
  await waiting;
  release?.();
  expect(places.take(A, fact())).toBeDefined();
});

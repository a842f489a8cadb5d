import { createRoom } from './room.ts';

const forEver = new AbortController().signal;

test('one share alone may have all of the room', () => {
  const part = createRoom(10).enter();
  part.hold(9);
  expect(part.isFull()).toBe(false);
  part.hold(10);
  expect(part.isFull()).toBe(true);
});

test('when all is taken, who has less than its part goes on, and who has more waits', () => {
  const room = createRoom(10);
  const [slow, quick] = [room.enter(), room.enter()];
  slow.hold(10);
  expect([slow.isFull(), quick.isFull()]).toEqual([true, false]);
  quick.hold(4);
  expect(quick.isFull()).toBe(false);
  quick.hold(5);
  expect(quick.isFull()).toBe(true);
});

test('who waits is woken when another share finishes something, leaves, or it is told to stop', async () => {
  const room = createRoom(10);
  const [here, there] = [room.enter(), room.enter()];
  here.hold(5);
  there.hold(5);
  const finished = here.untilRoom(forEver);
  there.hold(4);
  await finished;
  expect(here.isFull()).toBe(false);

  there.hold(5);
  const left = here.untilRoom(forEver);
  there.leave();
  await left;
  expect(here.isFull()).toBe(false);

  const stopping = new AbortController();
  const stopped = here.untilRoom(stopping.signal);
  stopping.abort();
  await stopped;
});

test('a share that waits is woken by what itself finishes', async () => {
  const part = createRoom(2).enter();
  part.hold(2);
  const waited = part.untilRoom(forEver);
  part.hold(1);
  await waited;
});

test('who may have more since another left looks again, though nothing was finished', async () => {
  const room = createRoom(12);
  const [most, some, none] = [room.enter(), room.enter(), room.enter()];
  most.hold(8);
  some.hold(4);
  expect(some.isFull()).toBe(true);
  const waited = some.untilRoom(forEver);
  none.leave();
  await waited;
  expect([most.isFull(), some.isFull()]).toEqual([true, false]);
});

import { withDeadline } from './deadline.ts';
import { Unavailable } from './unavailable.ts';

const never = new Promise<never>(() => undefined);

test('an answer in time is the answer, a failure in time the failure', async () => {
  expect(await withDeadline(Promise.resolve(7), { ms: 1_000, dependency: 'it' })).toBe(7);
  await expect(withDeadline(Promise.reject(new Error('no')), { ms: 1_000, dependency: 'it' })).rejects.toThrow('no');
});

test('who is silent is away, and is named', async () => {
  await expect(withDeadline(never, { ms: 5, dependency: 'the log' })).rejects.toThrow(new Unavailable('the log', 'no answer within 5 ms'));
  await expect(withDeadline(never, { ms: 5, dependency: 'the log' })).rejects.toBeInstanceOf(Unavailable);
});

test('a failure after the deadline troubles nobody', async () => {
  let fail: (error: Error) => void = () => undefined;
  const late = new Promise<never>((_resolve, reject) => { fail = reject; });
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  await expect(withDeadline(late, { ms: 5, dependency: 'it' })).rejects.toBeInstanceOf(Unavailable);
  fail(new Error('too late'));
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
});

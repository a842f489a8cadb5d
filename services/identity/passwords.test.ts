import { createPasswords } from './passwords.ts';

const GUESSES = 40;

test('of many who sign in at the same moment some wait their turn, and the others are refused before anything is looked up for them', async () => {
  const passwords = createPasswords();
  const kept = await passwords.hash('the right one of ann');
  const refusal = () => { try { passwords.mustHaveRoom(); return undefined; } catch (error) { return (error as { code: string }).code; } };
  expect(refusal()).toBeUndefined();

  const guesses = Array.from({ length: GUESSES }, (_, n) => passwords.isRight(`guess ${n}`, kept).then(() => 'looked at', (error: { code: string }) => error.code));
  expect(refusal()).toBe('too-many-sign-ins');

  const told = await Promise.all(guesses);
  expect(new Set(told)).toEqual(new Set(['looked at', 'too-many-sign-ins']));
  expect(told.filter((one) => one === 'looked at').length).toBeLessThanOrEqual(20);
  expect(refusal()).toBeUndefined();
  expect([await passwords.isRight('the right one of ann', kept), await passwords.isRight('another', kept), await passwords.isRight('the right one of ann', undefined)]).toEqual([true, false, false]);
});

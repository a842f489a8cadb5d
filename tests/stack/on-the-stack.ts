import { whyLeftOut } from './left-out.ts';

// Before each file of tests/e2e, when they run on the stack: systems are of that form, and what cannot be of it is skipped with its reason.

process.env['TEKAI_TEST_FORM'] = 'stack';

/** As in jest.stack.config.js, which cannot say it of tests that have a time of their own. */
const TEST_MS_MAX = 360_000;

const path = expect.getState().testPath ?? '';
const plain = globalThis.test;

const chosen = (name: string, body?: jest.ProvidesCallback, ms?: number): void => {
  const why = whyLeftOut(path, name);
  if (why === undefined) plain(name, body, ms === undefined ? undefined : Math.max(ms, TEST_MS_MAX));
  else plain.skip(`NOT ON THE STACK, ${why}: ${name}`, body);
};
const each: typeof plain.each = (whyLeftOut(path, '') === undefined ? plain : plain.skip).each;
globalThis.test = Object.assign(chosen, plain, { each });

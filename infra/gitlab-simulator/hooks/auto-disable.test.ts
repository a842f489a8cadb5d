import { expect, test } from '@jest/globals';

import type { Hook } from '../state/records.ts';
import { SETTINGS_AT_FIRST } from '../state/settings.ts';
import { newHook } from '../rest/hook-fields.ts';
import { afterAttempt, alertStatusOf } from './auto-disable.ts';

const NOW = new Date('2026-01-01T00:00:00Z');

function afterFailures(count: number, status: number, version = '19.1.0'): Hook {
  let hook: Hook = { ...newHook('project', 1, NOW), id: 1 };
  const settings = { ...SETTINGS_AT_FIRST, version };
  for (let at = 0; at < count; at += 1) hook = afterAttempt(hook, { isSuccess: false, status }, { settings, now: NOW });
  return hook;
}

function minutesOff(hook: Hook): number | null {
  return hook.disabledUntil === null ? null : (Date.parse(hook.disabledUntil) - NOW.getTime()) / 60_000;
}

test('the pause doubles from a minute to a day, and ends in a hook that is disabled for good', () => {
  expect([3, 4, 5, 6, 14, 15, 39].map((count) => minutesOff(afterFailures(count, 500)))).toEqual([null, 1, 2, 4, 1_024, 1_440, 1_440]);
  expect(alertStatusOf(afterFailures(40, 500), SETTINGS_AT_FIRST, NOW)).toBe('disabled');
});

test('before 17.11 four answers of 4xx ended a hook, while 5xx made it wait', () => {
  const old = { ...SETTINGS_AT_FIRST, version: '17.10.2' };
  expect(alertStatusOf(afterFailures(4, 401, old.version), old, NOW)).toBe('disabled');
  expect(alertStatusOf(afterFailures(4, 500, old.version), old, NOW)).toBe('temporarily_disabled');
  expect(alertStatusOf(afterFailures(4, 401), SETTINGS_AT_FIRST, NOW)).toBe('temporarily_disabled');
});

test('system hooks, and all hooks of an instance that is set so, are never disabled', () => {
  const hook = afterFailures(40, 500);
  expect(alertStatusOf({ ...hook, owner: 'system' }, SETTINGS_AT_FIRST, NOW)).toBe('executable');
  expect(alertStatusOf(hook, { ...SETTINGS_AT_FIRST, isAutoDisableOn: false }, NOW)).toBe('executable');
});

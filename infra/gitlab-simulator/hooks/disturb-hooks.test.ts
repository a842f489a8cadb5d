import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

import { createFaults, type FaultSpec } from '../http/faults.ts';
import { createDisturbance, type Disturbance } from './disturb-hooks.ts';
import type { PlannedDelivery } from './hook-request.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function disturbed(spec: FaultSpec): { disturbance: Disturbance; sent: string[]; admit(...names: string[]): void } {
  const faults = createFaults();
  faults.add(spec);
  const sent: string[] = [];
  const disturbance = createDisturbance(() => faults, (...planned) => void sent.push(...planned.map((one) => one.idempotencyKey)));
  const delivery = (idempotencyKey: string): PlannedDelivery => ({ hookId: 1, trigger: 'push_hooks', eventHeader: 'Push Hook', payload: {}, projectId: 1, idempotencyKey, eventUuid: '', isTest: false });
  return { disturbance, sent, admit: (...names) => names.forEach((name) => disturbance.admit(delivery(name), 'http://receiver.example')) };
}

test('a delayed delivery goes after its time, and is held until then', () => {
  const { disturbance, sent, admit } = disturbed({ kind: 'hook', action: 'delay', delayMs: 500, times: 1 });
  admit('late', 'prompt');
  jest.advanceTimersByTime(499);
  expect([sent, disturbance.held()]).toEqual([['prompt'], 1]);
  jest.advanceTimersByTime(1);
  expect([sent, disturbance.held()]).toEqual([['prompt', 'late'], 0]);
});

test('reordering turns each window round, and lets a last half go when no more come', () => {
  const { disturbance, sent, admit } = disturbed({ kind: 'hook', action: 'reorder', window: 3 });
  admit('1', '2', '3', '4', '5');
  expect([sent, disturbance.held()]).toEqual([['3', '2', '1'], 2]);
  jest.advanceTimersByTime(2_000);
  expect([sent, disturbance.held()]).toEqual([['3', '2', '1', '5', '4'], 0]);
});

test('the same seed spoils the same deliveries', () => {
  const survivorsOf = (seed: number): string[] => {
    const { sent, admit } = disturbed({ kind: 'hook', action: 'drop', probability: 0.5, seed });
    admit(...Array.from({ length: 40 }, (_unused, at) => String(at)));
    return sent;
  };
  expect(survivorsOf(7)).toEqual(survivorsOf(7));
  expect(survivorsOf(7)).not.toEqual(survivorsOf(8));
  expect(survivorsOf(7).length).toBeGreaterThan(8);
  expect(survivorsOf(7).length).toBeLessThan(32);
});

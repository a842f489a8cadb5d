import { ApiError, empty, invalidParameter, json } from '../http/answer.ts';
import type { FaultSpec } from '../http/faults.ts';
import type { Call, Route } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import type { Background } from '../server.ts';
import { seedRoutes } from './seed.ts';

/** What no GitLab has: how tests make it misbehave, fill it, and see what was asked of it. */
export function adminRoutes(instance: Instance, background: Background): Route[] {
  return [
    { method: 'POST', pattern: '/faults', endpoint: (call) => json(instance.faults.add(faultFrom(call)), 201) },
    { method: 'GET', pattern: '/faults', endpoint: () => json(instance.faults.list()) },
    { method: 'DELETE', pattern: '/faults', endpoint: () => clearFaults(instance) },
    { method: 'DELETE', pattern: '/faults/:id', endpoint: (call) => removeFault(instance, call) },
    { method: 'GET', pattern: '/requests', endpoint: (call) => listRequests(instance, call) },
    { method: 'DELETE', pattern: '/requests', endpoint: () => clearRequests(instance) },
    { method: 'GET', pattern: '/idle', endpoint: (call) => waitIdle(instance, background, call) },
    { method: 'GET', pattern: '/settings', endpoint: () => json(instance.state.settings()) },
    { method: 'PUT', pattern: '/settings', endpoint: (call) => changeSettings(instance, call) },
    { method: 'POST', pattern: '/clock', endpoint: (call) => advanceClock(instance, call) },
    { method: 'GET', pattern: '/deliveries', endpoint: (call) => listDeliveries(instance, call) },
    ...seedRoutes(instance),
  ];
}

const IDLE_POLL_MS = 10;
const IDLE_WAIT_MS = 30_000;

function faultFrom(call: Call): FaultSpec {
  const spec = { kind: call.input.required('kind') } as unknown as Record<string, unknown>;
  const names = [
    'method', 'path', 'status', 'headers', 'body', 'retryAfterSeconds', 'html', 'redirectTo', 'silent', 'gitError', 'delayMs', 'bytesPerSecond', 'cutAfterBytes',
    'action', 'event', 'url', 'project', 'window', 'milliseconds', 'times', 'skip', 'probability', 'seed',
  ];
  for (const name of names) if (call.input.has(name)) spec[name] = call.input.raw(name);
  if (!['http', 'hook', 'lag'].includes(String(spec['kind']))) throw invalidParameter('kind must be http, hook or lag');
  if (spec['kind'] === 'hook' && !['drop', 'duplicate', 'delay', 'reorder'].includes(String(spec['action']))) throw invalidParameter('action must be drop, duplicate, delay or reorder');
  if (spec['kind'] === 'lag' && typeof spec['milliseconds'] !== 'number') throw invalidParameter('milliseconds must be a number');
  for (const name of ['method', 'path', 'event', 'url']) refuseBadPattern(name, spec[name]);
  return spec as unknown as FaultSpec;
}

/** Said at once, not as a 500 on every request that the fault is tried on. */
function refuseBadPattern(name: string, pattern: unknown): void {
  if (pattern === undefined) return;
  try {
    new RegExp(String(pattern));
  } catch {
    throw invalidParameter(`${name} is no regular expression`);
  }
}

function clearFaults(instance: Instance) {
  instance.faults.clear();
  instance.lags.clear();
  return empty();
}

function removeFault(instance: Instance, call: Call) {
  if (!instance.faults.remove(Number(call.path['id']))) throw new ApiError(404, { error: 'no such fault' });
  return empty();
}

function listRequests(instance: Instance, call: Call) {
  const [path, method] = [call.input.text('path'), call.input.text('method')];
  const requests = instance.requests.list({ ...(path === undefined ? {} : { path: new RegExp(path) }), ...(method === undefined ? {} : { method }) });
  return json({ count: requests.length, bytesIn: sum(requests.map((one) => one.bytesIn)), bytesOut: sum(requests.map((one) => one.bytesOut)), requests });
}

function clearRequests(instance: Instance) {
  instance.requests.clear();
  return empty();
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Answers when every push is settled and every hook has ended; 504 if that takes longer than `timeoutMs`. */
async function waitIdle(instance: Instance, background: Background, call: Call) {
  const deadline = performance.now() + (call.input.whole('timeoutMs') ?? IDLE_WAIT_MS);
  const isIdle = (): boolean => background.running() === 0 && instance.hooks.pending() === 0 && instance.locks.running() === 0;
  while (!isIdle()) {
    if (performance.now() > deadline) throw new ApiError(504, { error: 'still busy', pendingHooks: instance.hooks.pending(), background: background.running() });
    await new Promise((resolve) => setTimeout(resolve, IDLE_POLL_MS));
  }
  return json({ isIdle: true, failures: background.failures() });
}

function changeSettings(instance: Instance, call: Call) {
  const changes: Record<string, unknown> = {};
  for (const name of Object.keys(instance.state.settings())) if (name !== 'id' && call.input.has(name)) changes[name] = call.input.raw(name);
  return json(instance.state.changeSettings(changes));
}

function advanceClock(instance: Instance, call: Call) {
  instance.advanceClock(call.input.whole('advanceMs') ?? 0);
  return json({ now: instance.now().toISOString() });
}

function listDeliveries(instance: Instance, call: Call) {
  const hookId = call.input.whole('hook');
  return json(instance.state.deliveries.all().filter((delivery) => hookId === undefined || delivery.hookId === hookId));
}

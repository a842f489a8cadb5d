import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';

import type { Instance } from '../instance.ts';
import type { Delivery, Hook, Namespace } from '../state/records.ts';
import { afterAttempt, alertStatusOf } from './auto-disable.ts';
import { createDisturbance } from './disturb-hooks.ts';
import { bodyOf, headersOf, urlOf, type PlannedDelivery } from './hook-request.ts';
import { listenersTo, type Audience, type Occurrence } from './occurrence.ts';
import { sendHook, type Outcome } from './send-hook.ts';

/** Jobs of one GitLab worker process at a time. Order is not promised, as with Sidekiq. */
const DELIVERIES_IN_FLIGHT_MAX = 20;
/** Kept a hook; GitLab keeps seven days. */
const DELIVERIES_KEPT_MAX = 500;

export interface HookQueue {
  /** Sends to every hook that listens. `eventUuid` is shared by all that one request of a user set off. */
  fire(occurrence: Occurrence, heard: Audience & { group?: Namespace }, eventUuid: string): void;
  /** At once and awaited, also for a disabled hook: tests and resends. */
  deliverNow(planned: PlannedDelivery): Promise<Delivery>;
  /** Deliveries not yet ended: waiting, held by a fault, or under way. */
  pending(): number;
  stop(): void;
}

export function createHookQueue(instance: () => Instance): HookQueue {
  const waiting: PlannedDelivery[] = [];
  const stopping = new AbortController();
  // One for each delivery on its way: a bound that is ours, not a leak.
  setMaxListeners(DELIVERIES_IN_FLIGHT_MAX + 1, stopping.signal);
  let inFlight = 0;
  const pump = (): void => {
    while (inFlight < DELIVERIES_IN_FLIGHT_MAX && !stopping.signal.aborted) {
      const next = waiting.shift();
      if (!next) return;
      // A hook that was removed in the meantime takes its events with it.
      if (!instance().state.hooks.get(next.hookId)) continue;
      inFlight += 1;
      void attempt(instance(), next, stopping.signal).finally(() => {
        inFlight -= 1;
        pump();
      });
    }
  };
  const disturbance = createDisturbance(
    () => instance().faults,
    (...planned) => {
      waiting.push(...planned);
      pump();
    },
  );
  return {
    fire: (occurrence, heard, eventUuid) => {
      for (const { hook, eventHeader } of listenersTo(instance().state, occurrence, heard)) {
        // What happens while a hook is disabled is lost, not queued, and not logged.
        if (alertStatusOf(hook, instance().state.settings(), instance().now()) !== 'executable') continue;
        disturbance.admit(plan(hook, occurrence, { eventHeader, eventUuid }), hook.url);
      }
    },
    deliverNow: (planned) => attempt(instance(), planned, stopping.signal),
    pending: () => waiting.length + inFlight + disturbance.held(),
    stop: () => {
      stopping.abort();
      disturbance.stop();
    },
  };
}

function plan(hook: Hook, occurrence: Occurrence, about: { eventHeader: string; eventUuid: string }): PlannedDelivery {
  const { trigger, payload, project } = occurrence;
  return { hookId: hook.id, trigger, payload, projectId: project?.id ?? null, idempotencyKey: randomUUID(), isTest: false, ...about };
}

/** One HTTP attempt with everything that follows from it: the log entry and the hook's state. */
async function attempt(instance: Instance, planned: PlannedDelivery, signal: AbortSignal): Promise<Delivery> {
  const hook = instance.state.hooks.get(planned.hookId);
  const settings = instance.state.settings();
  if (!hook) throw new Error(`hook ${planned.hookId} was removed before its delivery`);
  const started = performance.now();
  const { body, headers, outcome } = await tryHook(instance, { hook, planned, signal });
  const delivery = logged(instance, { hook, planned, body, headers, outcome, seconds: (performance.now() - started) / 1_000 });
  const latest = instance.state.hooks.get(hook.id);
  const status = outcome.kind === 'answered' ? outcome.status : null;
  const isSuccess = status !== null && status >= 200 && status < 400;
  if (latest && !signal.aborted) instance.state.hooks.put(afterAttempt(latest, { isSuccess, status }, { settings, now: instance.now() }));
  return delivery;
}

async function tryHook(instance: Instance, what: { hook: Hook; planned: PlannedDelivery; signal: AbortSignal }): Promise<{ body: string; headers: Record<string, string>; outcome: Outcome }> {
  const { hook, planned, signal } = what;
  const settings = instance.state.settings();
  let body = '';
  let headers: Record<string, string> = {};
  try {
    body = bodyOf(hook, planned.payload);
    headers = headersOf(hook, planned, { settings, instanceUrl: instance.url(), now: instance.now(), body });
  } catch (error) {
    return { body, headers, outcome: { kind: 'failed', reason: error instanceof Error ? error.message : String(error) } };
  }
  if (Buffer.byteLength(body) > settings.hookBodyBytesMax) return { body: '', headers, outcome: { kind: 'failed', reason: 'Gitlab::Json::LimitedEncoder::LimitExceeded' } };
  const outcome = await sendHook({ url: urlOf(hook), body, headers, isSslVerified: hook.isSslVerified, timeoutMs: settings.hookTimeoutMs, signal });
  return { body, headers, outcome };
}

function logged(
  instance: Instance,
  what: { hook: Hook; planned: PlannedDelivery; body: string; headers: Record<string, string>; outcome: Outcome; seconds: number },
): Delivery {
  const { hook, planned, body, headers, outcome, seconds } = what;
  const { deliveries } = instance.state;
  const mine = deliveries.by('hook', (delivery) => delivery.hookId).get(hook.id) ?? [];
  for (const old of mine.slice(0, Math.max(0, mine.length - DELIVERIES_KEPT_MAX + 1))) deliveries.remove(old.id);
  const shownHeaders = 'X-Gitlab-Token' in headers ? { ...headers, 'X-Gitlab-Token': '[REDACTED]' } : headers;
  return deliveries.insert({
    hookId: hook.id,
    url: hook.url,
    trigger: planned.trigger,
    requestHeaders: shownHeaders,
    requestBody: body,
    responseHeaders: outcome.kind === 'answered' ? outcome.headers : {},
    responseBody: outcome.kind === 'answered' ? outcome.body : outcome.reason,
    responseStatus: outcome.kind === 'answered' ? String(outcome.status) : 'internal error',
    executionSeconds: seconds,
    idempotencyKey: planned.idempotencyKey,
    eventHeader: planned.eventHeader,
    eventUuid: planned.eventUuid,
    projectId: planned.projectId,
    isTest: planned.isTest,
    createdAt: instance.now().toISOString(),
  });
}

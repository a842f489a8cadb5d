import { ApiError, invalidParameter, json, notFound } from '../http/answer.ts';
import { offsetPage } from '../http/paging.ts';
import type { Call } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import type { Delivery, Hook } from '../state/records.ts';

const LOG_DAYS = 7;
const PER_PAGE_MAX = 20;

/** The delivery log of a hook, newest first, seven days back, at most 20 a page. */
export function listHookEvents(instance: Instance, call: Call, hook: Hook) {
  if ((call.input.whole('per_page') ?? PER_PAGE_MAX) > PER_PAGE_MAX) throw invalidParameter('per_page does not have a valid value');
  const since = new Date(instance.now().getTime() - LOG_DAYS * 86_400_000).toISOString();
  const wanted = call.input.list('status');
  const events = (instance.state.deliveries.by('hook', (delivery) => delivery.hookId).get(hook.id) ?? [])
    .filter((delivery) => delivery.createdAt >= since && (wanted.length === 0 || wanted.some((status) => hasStatus(delivery, status))))
    .sort((a, b) => b.id - a.id);
  return offsetPage(call, events, showEvent);
}

function hasStatus(delivery: Delivery, wanted: string): boolean {
  const status = Number(delivery.responseStatus);
  switch (wanted) {
    case 'successful':
      return status >= 200 && status < 400;
    case 'client_failure':
      return status >= 400 && status < 500;
    case 'server_failure':
      return status >= 500 || Number.isNaN(status);
    default:
      return delivery.responseStatus === wanted;
  }
}

function showEvent(delivery: Delivery): Record<string, unknown> {
  return {
    id: delivery.id,
    url: delivery.url,
    trigger: delivery.trigger,
    request_headers: delivery.requestHeaders,
    request_data: delivery.requestBody === '' ? {} : (JSON.parse(delivery.requestBody) as unknown),
    response_headers: delivery.responseHeaders,
    response_body: delivery.responseBody,
    execution_duration: delivery.executionSeconds,
    response_status: delivery.responseStatus,
  };
}

/** The same data under the same Idempotency-Key; refused once the hook has another address. */
export async function resendHookEvent(instance: Instance, call: Call, hook: Hook) {
  const event = instance.state.deliveries.get(Number(call.path['event_id']));
  if (event?.hookId !== hook.id) throw notFound();
  if (event.url !== hook.url) throw new ApiError(422, { message: 'The hook URL has changed. Unable to resend the request.' });
  const delivery = await instance.hooks.deliverNow({
    hookId: hook.id,
    trigger: event.trigger,
    eventHeader: event.eventHeader,
    payload: event.requestBody === '' ? {} : (JSON.parse(event.requestBody) as Record<string, unknown>),
    projectId: event.projectId,
    idempotencyKey: event.idempotencyKey,
    eventUuid: event.eventUuid,
    isTest: false,
  });
  const status = Number(delivery.responseStatus);
  return json({ response_status: Number.isNaN(status) ? delivery.responseStatus : status }, 201);
}

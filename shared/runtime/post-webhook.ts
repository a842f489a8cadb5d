import { request } from 'undici';
import type { AddressGuard } from '#shared/addresses/address-guard.ts';
import { createGuardedAgent } from '#shared/addresses/guard-dispatcher.ts';

/** Who takes longer has taken it or not: it is sent again, with the same id. */
const ANSWER_MS_MAX = 20_000;
/** Followers that allow the same share connections. Beyond it the oldest are closed, and opened again when asked for. */
const AGENTS_MAX = 64;

export interface WebhookRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Private addresses and ranges where the receiver may be. */
  readonly allowAddresses: readonly string[];
  readonly signal: AbortSignal;
}

/** Sends a body to a URL of somebody's own. Follows no redirect, reads no answer. Rejects when nobody answers, or nothing may be sent there. */
export type PostWebhook = (url: string, options: WebhookRequest) => Promise<{ readonly status: number }>;

export function createPostWebhook(guard: AddressGuard): PostWebhook {
  const agents = new Map<string, ReturnType<typeof createGuardedAgent>>();
  function agentFor(allowed: readonly string[]) {
    const key = allowed.join();
    const agent = agents.get(key) ?? createGuardedAgent(guard, { allowed });
    agents.delete(key);
    agents.set(key, agent);
    const [oldest] = agents;
    if (agents.size > AGENTS_MAX && oldest !== undefined) {
      agents.delete(oldest[0]);
      void oldest[1].close();
    }
    return agent;
  }

  return async (url, { headers, body, allowAddresses, signal }) => {
    const response = await request(url, { method: 'POST', headers: { ...headers }, body, dispatcher: agentFor(allowAddresses), signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]) });
    // What comes of it is not waited for.
    response.body.on('error', () => undefined).destroy();
    return { status: response.statusCode };
  };
}

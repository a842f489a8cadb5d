import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { request, type Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Begins one every so often, whether the one before is answered or not, and counts from when it should have begun: a stall is felt by all that came in it. */
export async function atRate(step: () => Promise<void>, { perSecond: rate, while: ended }: { readonly perSecond: number; readonly while: Promise<unknown> }): Promise<number[]> {
  const tookMs: number[] = [];
  const underWay: Promise<void>[] = [];
  let isOver = false;
  void ended.finally(() => { isOver = true; });
  const began = performance.now();
  for (let n = 0; !isOver; n += 1) {
    const due = began + (n * 1_000) / rate;
    if (due > performance.now()) await sleep(due - performance.now());
    // A timer is a millisecond late by nature: that is the bench's and not the engine's.
    const from = Math.max(due, performance.now() - 1.5);
    underWay.push(step().then(() => void tookMs.push(performance.now() - from)));
  }
  await Promise.all(underWay);
  return tookMs;
}

/** Of the source that a bench registers. */
export const SIGNING_TOKEN = `whsec_${randomBytes(32).toString('base64')}`;
const SIGNING_KEY = Buffer.from(SIGNING_TOKEN.slice('whsec_'.length), 'base64');

export interface Delivery { readonly url: string; readonly project: number; readonly head: string }

/** A delivery as GitLab sends it, which nobody has seen before. Resolves when it is answered. */
export async function deliver(agent: Agent, { url, project, head }: Delivery): Promise<void> {
  const commits = Array.from({ length: 3 }, (_, n) => ({ id: head, message: `A change like others ${n}`, timestamp: '2026-01-01T00:00:00Z', url: 'https://gitlab.example.com/root/small/-/commit/1', author: { name: 'Ann', email: 'ann@example.com' }, added: ['a/b/c'], modified: ['d'], removed: [] }));
  const body = { object_kind: 'push', event_name: 'push', ref: 'refs/heads/main', before: '1'.repeat(40), after: head, checkout_sha: head, user_id: 1, project_id: project, commits, total_commits_count: 3, repository: { name: 'small' }, padding: 'x'.repeat(1_500) };
  const [id, timestamp] = [randomUUID(), String(Math.floor(Date.now() / 1_000))];
  const signature = createHmac('sha256', SIGNING_KEY).update(`${id}.${timestamp}.${JSON.stringify(body)}`).digest('base64');
  mustBeGood(url, await post(agent, url, { body, headers: { 'x-gitlab-event': 'Push Hook', 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` } }));
}

export async function get(agent: Agent, url: string, token: string): Promise<void> {
  mustBeGood(url, await answered(url, { agent, headers: { authorization: `Bearer ${token}` } }));
}

/** Resolves to the status. */
export function post(agent: Agent, url: string, { body, headers }: { readonly body: object; readonly headers: Readonly<Record<string, string>> }): Promise<number> {
  const bytes = Buffer.from(JSON.stringify(body));
  return answered(url, { agent, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': bytes.length, ...headers } }, bytes);
}

function mustBeGood(url: string, status: number): void {
  if (status >= 300) throw new Error(`${url}: ${status}`);
}

/** node:http and not fetch, which takes more of the processor than what is measured. */
function answered(url: string, options: object, body?: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 500));
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

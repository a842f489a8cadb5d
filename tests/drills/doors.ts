import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf, until, type System } from '../harness/system.ts';
import { pushSomething, type Followed } from './fleet.ts';
import type { Chance } from './drill.ts';

/** Of everybody who looks. Each look is begun at its time, whatever became of those before it: as people do it. */
const LOOK_EVERY_MS = 250;
/** A silent database is given up after 15 s, and 5 s may pass before a connection is free. The rest is for a loaded machine. */
export const READ_MS_MAX = 25_000;
const HEALTH_MS_MAX = 10_000;
/** Often enough that something is always under way; each push costs a core some tenths of a second, and each version is read at the end. */
const PUSH_EVERY_MS = 300;
/** GitLab gives a delivery 10 s. */
const DELIVERY_SECONDS_MAX = 8;

export interface Look { readonly path: string; readonly status: number; readonly ms: number; readonly retryAfter: string | null; readonly at: number }

/** Somebody who reads, and asks for health, while something is broken. */
export interface Doors {
  readonly looks: readonly Look[];
  /** Waits for the answers that are due. @throws when one hung, was neither an answer nor a 503 that says when to come again, or the engine was called dead */
  close(): Promise<Seen>;
}

/** Reads, and those that were answered 503; the slowest answer. */
export interface Seen { readonly reads: number; readonly refused: number; readonly slowestMs: number; readonly notReady: number }

export function watchDoors(system: System, fleet: readonly Followed[]): Doors {
  const looks: Look[] = [];
  const underWay = new Set<Promise<void>>();
  const troubles: unknown[] = [];
  let isOpen = true;
  const look = async (path: string) => {
    const began = performance.now();
    const answer = await system.ask('GET', path);
    looks.push({ path, status: answer.status, ms: performance.now() - began, retryAfter: answer.headers.get('retry-after'), at: began });
  };
  const watching = (async () => {
    for (let n = 0; isOpen; n += 1) {
      for (const path of [`/v1/codebases/${fleet[n % fleet.length]!.codebase}/refs`, n % 4 === 0 ? '/livez' : '/readyz']) {
        const one = look(path).catch((error: unknown) => void troubles.push(error)).finally(() => underWay.delete(one));
        underWay.add(one);
      }
      await sleep(LOOK_EVERY_MS);
    }
  })();
  return {
    looks,
    async close() {
      isOpen = false;
      await watching;
      await Promise.all(underWay);
      assert.deepEqual(troubles, [], 'the door itself did not answer');
      return judged(looks);
    },
  };
}

function judged(looks: readonly Look[]): Seen {
  const reads = looks.filter(({ path }) => path.startsWith('/v1'));
  const slowestMs = Math.round(Math.max(...reads.map(({ ms }) => ms)));
  assert.deepEqual(reads.filter(({ status }) => status !== 200 && status !== 503), [], 'a read was answered neither 200 nor 503');
  assert.deepEqual(reads.filter(({ status, retryAfter }) => status === 503 && !(Number(retryAfter) >= 1)), [], 'a 503 does not say when to come again');
  assert.ok(slowestMs <= READ_MS_MAX, `a read hung for ${slowestMs} ms`);
  const health = looks.filter(({ path }) => !path.startsWith('/v1'));
  assert.deepEqual(health.filter(({ ms }) => ms > HEALTH_MS_MAX), [], 'health was asked, and hung');
  assert.deepEqual(health.filter(({ path, status }) => path === '/livez' && status !== 200), [], 'the engine was called dead');
  return { reads: reads.length, refused: reads.filter(({ status }) => status === 503).length, slowestMs, notReady: health.filter(({ path, status }) => path === '/readyz' && status === 503).length };
}

/** Pushes one after the other until told to stop. Resolves once the first was taken: from then on the source's secrets are known. */
export async function keepPushing(system: System, fleet: readonly Followed[], { chance }: { chance: Chance }): Promise<{ stop(): Promise<number> }> {
  let isGoing = true;
  const pushing = (async () => {
    let pushes = 0;
    for (; isGoing; pushes += 1) {
      await pushSomething(fleet, chance);
      await sleep(PUSH_EVERY_MS);
    }
    return pushes;
  })();
  // Told by `stop`, and not before.
  pushing.catch(() => undefined);
  // A push that failed is told at once.
  await Promise.race([pushing, until('a delivery is taken', async () => (await system.gitlab.admin<Logged[]>('GET', '/deliveries')).some(({ responseStatus }) => /^2/.test(responseStatus)))]);
  return { stop: () => { isGoing = false; return pushing; } };
}

export interface Delivered { readonly id: string; readonly project: number | null; readonly status: string; readonly seconds: number; readonly at: string; readonly body: string; readonly retryAfter: string | undefined }

/** What GitLab was answered, of the deliveries that ended after `since`. */
export async function deliveriesSince(system: System, since: Date): Promise<Delivered[]> {
  await system.gitlab.admin('GET', '/idle');
  const all = await system.gitlab.admin<Logged[]>('GET', '/deliveries');
  return all.filter(({ createdAt }) => createdAt >= since.toISOString()).map((one) => ({
    id: Object.entries(one.requestHeaders).find(([name]) => name.toLowerCase() === 'webhook-id')?.[1] ?? '',
    project: one.projectId, status: one.responseStatus, seconds: one.executionSeconds, at: one.createdAt, body: one.responseBody, retryAfter: one.responseHeaders['Retry-After'] ?? one.responseHeaders['retry-after'],
  }));
}

interface Logged {
  readonly responseHeaders: Readonly<Record<string, string>>;
  readonly requestHeaders: Readonly<Record<string, string>>; readonly projectId: number | null; readonly responseStatus: string;
  readonly executionSeconds: number; readonly createdAt: string; readonly responseBody: string;
}

/** What was taken before another delivery of the codebase was begun stands before it in the log. */
export async function expectOrderKept(system: System, fleet: readonly Followed[], deliveries: readonly Delivered[]): Promise<void> {
  for (const { codebase, project } of fleet) {
    const places = new Map((await eventsOf(system, `key=${codebase}&type=push.received`)).map((event) => [event.data.deliveryId as string, event.position]));
    const taken = deliveries.filter((one) => one.project === project && /^2/.test(one.status) && places.has(one.id));
    for (const one of taken) {
      const begun = Date.parse(one.at) - one.seconds * 1_000;
      for (const earlier of taken) if (Date.parse(earlier.at) < begun) assert.ok(places.get(earlier.id)! < places.get(one.id)!, `delivery ${one.id} came after ${earlier.id} was taken, and stands before it in the log`);
    }
  }
}

/** All of them were kept, and GitLab did not wait long. */
export function expectAllTaken(deliveries: readonly Delivered[]): void {
  assert.ok(deliveries.length > 0, 'nothing was delivered: the drill drilled nothing');
  assert.deepEqual(deliveries.filter(({ status }) => !/^2/.test(status)), [], 'deliveries were refused, though the spool can take them');
  assert.deepEqual(deliveries.filter(({ seconds }) => seconds > DELIVERY_SECONDS_MAX), [], 'GitLab waited long for an answer');
}

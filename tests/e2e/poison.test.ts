import { randomUUID } from 'node:crypto';
import type { StreamName } from '#schemas/brand.ts';
import type { Appendable } from '#shared/log/event-log.ts';
import { createPool } from '#shared/postgres/pool.ts';
import { withLog } from '../harness/own-stores.ts';
import { makeRepository } from '../harness/repository.ts';
import { eventsOf, startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
beforeAll(async () => { system = await startSystem(); });
afterAll(async () => { await system.stop(); });

const MAIN = 'refs/heads/main';

async function pushable(name: string) {
  const repository = await makeRepository();
  const first = repository.commit('main', [{ path: 'a', content: name }]);
  const project = await system.gitlab.admin('POST', '/projects', { path: name, import: repository.dir });
  repository.git('remote', 'add', 'origin', system.gitlab.remote(`root/${name}`));
  const codebase = await system.follow(project.id);
  await untilStored(system, codebase, MAIN, first);
  return { repository, codebase };
}

/** I3: a fault that follows the fact parks its key, never the others. */
test('a poison fact parks its codebase only, visibly; the others go on, and redriving works through what waited', async () => {
  const poisoned = await pushable('poisoned');
  const healthy = await pushable('healthy');
  await appendPoison(poisoned.codebase);
  const parked = await until('the key is parked', async () =>
    (await system.ask('GET', `/v1/parked?key=${poisoned.codebase}`)).json<{ parked: { group: string; reason: string; facts: number }[] }>().parked.find((one) => one.group === 'fetcher'));
  expect(parked.reason).toContain('refs');

  const waiting = poisoned.repository.commit('main', [{ path: 'a', content: 'behind the poison' }]);
  poisoned.repository.git('push', '-q', 'origin', 'main');
  const going = healthy.repository.commit('main', [{ path: 'a', content: 'going on' }]);
  healthy.repository.git('push', '-q', 'origin', 'main');
  await untilStored(system, healthy.codebase, MAIN, going);
  await until('the push waits behind it', async () =>
    (await system.ask('GET', `/v1/parked?key=${poisoned.codebase}`)).json<{ parked: { facts: number }[] }>().parked[0]?.facts === 2);
  const shown = (await system.ask('GET', `/v1/codebases/${poisoned.codebase}`)).json<{ parked: unknown[]; unfolded: number; head: { commit: string; isHintWaiting: boolean } }>();
  expect(shown.parked).toHaveLength(1);
  // The projector could not fold it either, and says so.
  expect(shown.unfolded).toBe(1);
  expect(shown.head.isHintWaiting).toBe(true);

  // Over a restart it stays parked; a redrive meets the poison again and parks again, losing nothing.
  await system.kill('SIGKILL');
  await system.startEngine();
  expect((await system.ask('POST', `/v1/parked/fetcher/${poisoned.codebase}/redrive`)).json<{ facts: number }>().facts).toBe(2);
  await until('it is parked again', async () =>
    (await system.ask('GET', `/v1/parked?key=${poisoned.codebase}`)).json<{ parked: { facts: number }[] }>().parked[0]?.facts === 2);
  // Taken out by hand, what waited behind it is worked on.
  await takeOutPoison(poisoned.codebase);
  await system.ask('POST', `/v1/parked/fetcher/${poisoned.codebase}/redrive`);
  await untilStored(system, poisoned.codebase, MAIN, waiting);
  expect((await eventsOf(system, `key=${poisoned.codebase}&type=codebase.stored`)).map((event) => event.data.commit).at(-1)).toBe(waiting);
});

/** A fact of a shape that no version of ours writes. */
async function appendPoison(codebase: string): Promise<void> {
  const fact = {
    id: randomUUID(), type: 'push.received', schemaVersion: 1, key: codebase, time: new Date().toISOString(), actor: { kind: 'gitlab', id: 'x' },
    correlationId: 'poison', causationId: null, data: { codebaseId: codebase, refs: 'not a list' },
  } as unknown as Appendable;
  await withLog(system, (log) => log.append(`delivery-${randomUUID()}-${randomUUID()}` as StreamName, 'noStream', [fact]));
}

async function takeOutPoison(codebase: string): Promise<void> {
  const pool = createPool(system.databaseUrl, { connectionsMax: 1, applicationName: 'test' });
  await pool.query(`delete from bus_parked where key = $1 and reason is not null`, [codebase]);
  await pool.end();
}

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeOpaqueToken } from '#shared/identity/opaque-token.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import { deliveriesSince, expectAllTaken, expectOrderKept, keepPushing, watchDoors } from './doors.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet, type Followed } from './fleet.ts';
import { expectAllHeld } from './held.ts';
import { processesOf, signal, startOwnPostgres } from './server-processes.ts';

/** The short form goes on as soon as everybody who asked was answered. */
const STOPPED_MS = 30_000;
/** A statement that somebody at a door waits for is given up after 15 s. The rest is for a loaded machine; unbounded would be ten minutes. */
const COMMAND_MS_MAX = 60_000;
/** After the server goes on, everything is well again: connections that were given up are opened anew. */
const WELL_MS_MAX = 30_000;

export const postgresStopped: Drill = {
  name: 'postgres-stopped',
  says: 'a database that is silent holds nobody: deliveries are kept, reads and commands are 503 within a bound, all goes on by itself after (I1, I2, I3)',
  minutesMax: 6,
  run: stopPostgres,
};

async function stopPostgres({ chance, isShort, note }: DrillRun): Promise<string> {
  const postgres = await startOwnPostgres();
  const system = await startSystem({ database: { url: postgres.url } });
  try {
    const fleet = await followFleet(system, { count: isShort ? 3 : 6 });
    const began = new Date();
    const doors = watchDoors(system, fleet);
    const pushing = await keepPushing(system, fleet, { chance });
    await until('a sync is under way', async () => (await system.ask('GET', '/v1/syncs?state=waiting,fetched,scanned')).json<{ syncs: unknown[] }>().syncs.length > 0);

    const stopped = await processesOf(postgres.data);
    signal(stopped, 'SIGSTOP');
    const silentSince = new Date();
    const commands = await commandsOf(system, fleet);
    const asked = answersInTime(system, commands);
    asked.catch(() => undefined);
    note(`${stopped.length} processes of Postgres are stopped`);
    await until('readyz says so', async () => (await system.ask('GET', '/readyz')).status === 503, 10_000);
    const { reasons } = await (await fetch(`${system.internalUrl}/readyz`)).json() as { reasons: string[] };
    assert.match(reasons.join(), /^database: /, 'readyz does not say what is away');
    await until('a delivery is taken while the database is silent', async () => (await deliveriesSince(system, silentSince)).some(({ status }) => /^2/.test(status)));
    const slowestMs = expectToldToComeAgain(await asked);
    if (!isShort) await sleep(STOPPED_MS);
    signal(stopped, 'SIGCONT');
    const goesOn = performance.now();
    await until('the engine is ready again', async () => (await system.ask('GET', '/readyz')).status === 200, WELL_MS_MAX);
    const wellMs = Math.round(performance.now() - goesOn);

    // Asked again with the keys that they had, they are done.
    for (const { status, command } of await answersInTime(system, commands)) assert.match(String(status), /^2/, `${command} when the database is back`);
    const pushes = await pushing.stop();
    const deliveries = await deliveriesSince(system, began);
    expectAllTaken(deliveries);
    await expectAllHeld(system, fleet);
    await expectOrderKept(system, fleet, deliveries);
    const seen = await doors.close();
    assert.ok(seen.notReady > 0 && system.log().includes('spooling'), 'nobody met the silence: the drill drilled nothing');
    assert.equal(system.log().match(/"msg":"up"/g)?.length, 1, 'the engine was started again');
    return `${pushes} pushes, ${deliveries.length} deliveries taken, the slowest in ${Math.max(...deliveries.map(({ seconds }) => seconds)).toFixed(1)} s; ${seen.refused} of ${seen.reads} reads 503, the slowest ${seen.slowestMs} ms; ${commands.length} commands answered, the slowest after ${slowestMs} ms; ready ${wellMs} ms after`;
  } finally {
    await postgres.start().catch(() => undefined);
    signal(await processesOf(postgres.data).catch(() => []), 'SIGCONT');
    await system.stop();
    await postgres.remove();
  }
}

interface Command { readonly path: string; readonly body: object; readonly key: string }
interface Answered { readonly command: string; readonly status: number; readonly retryAfter: string | null; readonly ms: number }

/** Of each kind one: a sync, which is as easily kept as a delivery, and what is decided by what the log and the tables say. */
async function commandsOf(system: System, fleet: readonly Followed[]): Promise<Command[]> {
  const [{ codebase, project }] = fleet as [Followed];
  return [
    { path: `/v1/codebases/${codebase}/syncs`, body: {} },
    { path: '/v1/codebases', body: { sourceId: await system.sourceId(), gitlabProject: project } },
    { path: '/v1/sources', body: { baseUrl: system.gitlab.url, token: system.gitlab.token, name: 'once more' } },
    { path: '/v1/projects', body: { name: 'thought of in an outage' } },
    { path: '/v1/followers', body: { name: 'follower', codebases: [codebase] } },
    { path: '/v1/auth/logout', body: { refreshToken: makeOpaqueToken('refresh').token } },
  ].map((command) => ({ ...command, key: randomUUID() }));
}

async function answersInTime(system: System, commands: readonly Command[]): Promise<Answered[]> {
  return Promise.all(commands.map(async ({ path, body, key }) => {
    const command = `POST ${path}`;
    const began = performance.now();
    const answer = await Promise.race([system.ask('POST', path, { body, headers: { 'idempotency-key': key } }), sleep(COMMAND_MS_MAX, undefined, { ref: false })]);
    assert.ok(answer !== undefined, `${command} was not answered within ${COMMAND_MS_MAX} ms`);
    return { command, status: answer.status, retryAfter: answer.headers.get('retry-after'), ms: Math.round(performance.now() - began) };
  }));
}

function expectToldToComeAgain(answers: readonly Answered[]): number {
  const [sync, ...others] = answers;
  assert.equal(sync?.status, 202, 'a sync was not taken, though the spool can take it');
  assert.deepEqual(others.filter(({ status, retryAfter }) => status !== 503 || !(Number(retryAfter) >= 1)), [], 'a command was not answered with 503 and when to come again');
  return Math.max(...answers.map(({ ms }) => ms));
}

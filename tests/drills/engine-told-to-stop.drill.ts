import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { STEPS, type Step } from '#shared/runtime/trail.ts';
import { startSystem, until, type System } from '../harness/system.ts';
import type { Drill, DrillRun } from './drill.ts';
import { followFleet, pushSomething, type Followed } from './fleet.ts';
import { askForAll, expectAllHeld, untilSameHeads } from './held.ts';
import { expectNothingLeftBehind } from './left-behind.ts';
import { listenToAll } from './listener.ts';
import { tekai } from '../harness/tekai.ts';
import { readTrail } from './trail.ts';

/** The door lets what is under way drain for 10 s; a supervisor waits 30 s before it kills. */
const STOP_MS_MAX = 25_000;
/** Of a codebase that is registered just before the engine is told. Every one of them is read at the end. */
const FIRST_SYNC_FILES = { short: 100, full: 1_500 };
const POLLS = 3;
const PUSHES_A_STOP = 6;
const AIM_MS_MAX = 10_000;

export const engineToldToStop: Drill = {
  name: 'engine-told-to-stop',
  says: 'SIGTERM in the middle of everything ends the engine with 0 and in time, tells those who wait, leaves nothing behind, loses nothing and doubles nothing (I1, I2, I4, I6, I11)',
  minutesMax: 10,
  run: stopEngines,
};

async function stopEngines({ chance, isShort, note }: DrillRun): Promise<string> {
  const stops = isShort ? 3 : 12;
  const trail = readTrail();
  const system = await startSystem({ settings: { TEKAI_LOG_LEVEL: 'debug' }, onLine: (line) => trail.take(line) });
  try {
    // Stops come faster than any GitLab meets them: hooks that fail four times would be switched off for a minute.
    await system.gitlab.admin('PUT', '/settings', { isAutoDisableOn: false });
    const listener = await listenToAll(system);
    const fleet = await followFleet(system, { count: isShort ? 3 : 8 });
    const [quiet] = await followFleet(system, { count: 1, name: 'quiet' });
    for (const one of [...fleet, quiet!]) await untilSameHeads(system, one);
    const cursor = await followerAtEnd(system, quiet!);
    let slowestMs = 0;
    const stoppedAt: Step[] = [];
    for (let stop = 0; stop < stops; stop += 1) {
      const aim = STEPS[1 + chance.below(STEPS.length - 1)]!;
      const polls = Array.from({ length: POLLS }, () => longPoll(system, cursor));
      fleet.push(...await followFleet(system, { count: 1, name: `first-${stop}`, files: isShort ? FIRST_SYNC_FILES.short : FIRST_SYNC_FILES.full }));
      const pushing = (async () => { for (let n = 0; n < PUSHES_A_STOP; n += 1) await pushSomething(fleet, chance); })();
      const verified = tekai(system, 'replay', '--verify');
      await new Promise<void>((resolve) => { trail.onStep = (step) => { if (step === aim) resolve(); }; void sleep(AIM_MS_MAX).then(resolve); });
      trail.onStep = undefined;
      const stopped = await tellToStop(system);
      slowestMs = Math.max(slowestMs, stopped.ms);
      stoppedAt.push(aim);
      for (const answer of await Promise.all(polls)) assert.ok(answer === '200' || answer === '503', `a follower who waited was answered: ${answer}`);
      await expectNothingLeftBehind(system);
      const { code, stdout, stderr } = await verified;
      assert.equal(code, 0, `tekai replay --verify beside an engine that stops exits ${code}:\n${stdout}${stderr}`);
      trail.begin();
      await Promise.all([system.startEngine(), pushing]);
      note(`stop ${stop + 1} of ${stops}, at ${aim}: ${(stopped.ms / 1_000).toFixed(1)} s`);
    }
    await askForAll(system, fleet);
    await expectAllHeld(system, fleet, { listeners: [listener] });
    assert.deepEqual(listener.ends, Array.from({ length: stops }, () => 4_001), 'how the lines of a listener ended');
    await listener.stop();
    return `${stops} stops (at ${stoppedAt.join(', ')}), each exits 0, the slowest after ${(slowestMs / 1_000).toFixed(1)} s; ${stops * POLLS} long polls answered, ${listener.heard.length} facts heard over ${listener.connections} connections`;
  } finally {
    await system.stop();
  }
}

async function tellToStop(system: System): Promise<{ ms: number }> {
  const from = performance.now();
  const before = system.log().length;
  await system.kill('SIGTERM');
  const ms = performance.now() - from;
  const said = system.log().slice(before);
  assert.ok(said.includes('"msg":"down"'), `the engine did not end as one that was told to:\n${said.slice(-3_000)}`);
  assert.ok(!/"level":[56]0/.test(said), `the engine complains while it stops:\n${said.split('\n').filter((line) => /"level":[56]0/.test(line)).join('\n')}`);
  assert.ok(ms < STOP_MS_MAX, `it took ${Math.round(ms)} ms to stop`);
  return { ms };
}

/** A follower of a codebase where nothing happens: whoever asks behind this cursor waits. */
async function followerAtEnd(system: System, { codebase }: Followed): Promise<string> {
  assert.equal((await system.ask('POST', '/v1/followers', { body: { name: 'quiet', codebases: [codebase] } })).status, 201);
  return until('a follower has everything', async () => {
    const answer = await system.ask('GET', '/v1/followers/quiet/changes?limit=1000');
    const last = JSON.parse(answer.bytes.toString('utf8').trimEnd().split('\n').at(-1) ?? '{}') as { op?: string; cursor: string };
    if (last.op !== 'end') return undefined;
    assert.equal((await system.ask('POST', '/v1/followers/quiet/ack', { body: { cursor: last.cursor } })).status, 200);
    return last.cursor;
  });
}

/** The status that it is answered with in the end, on a connection of its own; or how that was cut. */
async function longPoll(system: System, cursor: string): Promise<string> {
  const asking = request(`${system.url}/v1/followers/quiet/changes?wait=50s&after=${encodeURIComponent(cursor)}`, { agent: false, headers: { authorization: `Bearer ${system.token}` } });
  asking.end();
  asking.on('error', () => undefined);
  try {
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    await text(response);
    return String(response.statusCode);
  } catch (error) {
    return String(error);
  }
}

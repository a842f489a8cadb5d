import { execFileSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { makeRepository } from '../harness/repository.ts';
import { startSystem, until, untilStored, type System } from '../harness/system.ts';

let system: System;
let engine: ChildProcess;
beforeAll(async () => {
  system = await startSystem({ services: ['ingress'] });
  await system.kill('SIGTERM');
  engine = await system.startEngine();
});
afterAll(async () => { await system.stop(); });

/** Processes that run the workers below this engine. */
function workersOf({ pid }: ChildProcess): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args=']).toString().split('\n').map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line));
  return lines.filter((line) => line?.[2] === String(pid) && line[3]?.includes('services/workers')).map((line) => Number(line?.[1]));
}

/** Never 0, which is everybody. */
function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined || pid < 1) throw new Error('there is nobody to be killed');
  process.kill(pid, signal);
}

const isAlive = (pid: number) => execFileSync('ps', ['-A', '-o', 'pid=,stat=']).toString().split('\n').some((line) => new RegExp(`^\\s*${pid}\\s+[^Z]`).test(line));

test('the workers run beside the doors, are started again when they die, and finish what they had begun', async () => {
  const repository = await makeRepository();
  const first = repository.commit('main', Array.from({ length: 3_000 }, (_, n) => ({ path: `d${n % 30}/f${n}`, content: `first ${n}\n` })));
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'worked-on', import: repository.dir });
  const [before] = workersOf(engine);
  const codebase = await system.follow(project.id);
  kill(before, 'SIGKILL');
  await untilStored(system, codebase, 'refs/heads/main', first);
  expect(workersOf(engine)).toHaveLength(1);
  expect(workersOf(engine)).not.toContain(before);
  await until('the engine is ready again', async () => (await fetch(`${system.url}/readyz`)).ok);
});

test('once they are up, every thread of the workers steps back behind the doors', async () => {
  const [workers = 0] = workersOf(engine);
  const threads = () => (process.platform === 'linux' ? readdirSync(`/proc/${workers}/task`).map(Number) : [workers]);
  await until('they have stepped back', () => threads().every((thread) => getPriority(thread) === 10));
  expect(getPriority(engine.pid)).toBe(getPriority());
});

test('one scrape shows what both processes used, the workers by a label', async () => {
  const text = await until('both are shown', async () => {
    const metrics = await (await fetch(`${system.internalUrl}/metrics`)).text();
    return metrics.includes('process="workers"') && metrics;
  });
  const lines = text.split('\n').filter((line) => line.startsWith('tekai_process_resident_memory_bytes'));
  expect(lines).toHaveLength(2);
  expect(lines.every((line) => Number(line.split(' ').at(-1)) > 10_000_000)).toBe(true);
  expect(text.match(/^# TYPE tekai_process_resident_memory_bytes /gm)).toHaveLength(1);
});

test('an engine that is killed takes its workers with it; one that is told to stop waits for them', async () => {
  const [orphan = 0] = workersOf(engine);
  expect(isAlive(orphan)).toBe(true);
  const closed = once(engine, 'close');
  engine.kill('SIGKILL');
  await closed;
  await until('the orphan has ended', () => !isAlive(orphan));
  engine = await system.startEngine();
  const [worker = 0] = workersOf(engine);
  await system.kill('SIGTERM');
  expect(isAlive(worker)).toBe(false);
  expect(engine.exitCode).toBe(0);
  engine = await system.startEngine();
});

test('a terminal or a supervisor that tells the whole group ends nothing before the engine says so', async () => {
  const [worker] = workersOf(engine);
  kill(worker, 'SIGTERM');
  kill(worker, 'SIGINT');
  const repository = await makeRepository();
  const commit = repository.commit('main', [{ path: 'a', content: 'a' }]);
  const project = await system.gitlab.admin<{ id: number }>('POST', '/projects', { path: 'told', import: repository.dir });
  await untilStored(system, await system.follow(project.id), 'refs/heads/main', commit);
  expect(workersOf(engine)).toEqual([worker]);
});

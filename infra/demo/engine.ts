import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DemoFailed } from './demo-failed.ts';
import type { Ports } from './kept-state.ts';
import { lastLines, startProgram, type Program } from './programs.ts';

export interface Engine {
  readonly program: Program;
  readonly url: string;
  readonly token: string;
}

/** The first start makes a database: three seconds, or many on a slow disk. */
const START_MS_MAX = 120_000;
const LOOK_AGAIN_MS = 50;

/** Starts an engine with its embedded defaults, as `tekai up` does, and waits until it is ready. @throws DemoFailed */
export async function startEngine({ stateDir, ports, env }: { stateDir: string; ports: Ports; env: NodeJS.ProcessEnv }): Promise<Engine> {
  const logFile = path.join(stateDir, 'engine.log');
  const program = startProgram({
    name: 'engine', program: 'services/main', words: ['up'], stateDir, logFile,
    env: { ...withoutOurs(env), TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(ports.engine), TEKAI_INTERNAL_PORT: String(ports.internal), TEKAI_ALLOW_ADDRESSES: '127.0.0.0/8,::1/128' },
  });
  const url = `http://127.0.0.1:${ports.engine}`;
  let end: string | undefined;
  void program.ended.then((how) => { end = how; });
  const deadline = performance.now() + START_MS_MAX;
  while (!(await isReady(url))) {
    if (end !== undefined) throw new DemoFailed(`The engine ended (${end}) before it was ready. The end of ${logFile}:\n${lastLines(logFile, 10)}`);
    if (performance.now() > deadline) throw new DemoFailed(`The engine was not ready within ${START_MS_MAX / 1_000} s. Its health door, http://127.0.0.1:${ports.internal}/readyz, and ${logFile} say what it waits for.`);
    await sleep(LOOK_AGAIN_MS);
  }
  return { program, url, token: readFileSync(path.join(stateDir, 'access-token'), 'utf8').trim() };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).then((response) => response.ok, () => false);
}

/** The demo's engine has embedded defaults, whatever is set for another one. */
export function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEKAI_') || name === 'TEKAI_LOG_LEVEL'));
}

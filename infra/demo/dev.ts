import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { choosePorts } from './choose-ports.ts';
import { DemoFailed } from './demo-failed.ts';
import { startEngine, withoutOurs, type Engine } from './engine.ts';
import { changeKept, readKept } from './kept-state.ts';
import { endLeftovers } from './programs.ts';
import { quoted } from './show.ts';
import { startSimulatedGitLab } from './simulated-gitlab.ts';

// `make dev`: the simulated GitLab and an engine, which is built and started again whenever a source changes.

const { env } = process;
const project = realpathSync(fileURLToPath(new URL('../../..', import.meta.url)));
const stateDir = path.resolve(env['TEKAI_STATE_DIR'] || path.join(project, '.tekai', 'dev'));
const say = (line: string) => void process.stdout.write(`${line}\n`);

try {
  await develop();
} catch (error) {
  process.stderr.write(`${error instanceof DemoFailed ? error.message : error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

async function develop(): Promise<void> {
  changeKept(stateDir, {});
  await endLeftovers(stateDir, say);
  changeKept(stateDir, { demo: process.pid });
  const ports = await choosePorts(env, { kept: readKept(stateDir).ports, say });
  changeKept(stateDir, { ports });
  const gitlab = await startSimulatedGitLab({ stateDir, port: ports.gitlab, env: withoutOurs(env) });
  let engine = await startEngine({ stateDir, ports, env });
  say(`simulated GitLab  ${gitlab.url}   token of root: ${gitlab.token}\nengine            ${engine.url}   log ${engine.program.logFile}`);
  say(`tekai() { node ${quoted(path.join(project, 'dist/services/main.js'))} "$@"; }; export TEKAI_URL=${engine.url} TEKAI_STATE_DIR=${quoted(stateDir)}`);

  const compiler = spawn(process.execPath, [path.join(project, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput'], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      compiler.kill();
      void Promise.all([engine.program.stop(), gitlab.program.stop()]).finally(() => process.exit(0));
    });
  }
  let isFirst = true;
  for await (const line of createInterface({ input: compiler.stdout })) {
    const errors = /Found (\d+) errors?/.exec(line)?.[1];
    if (errors === undefined) { if (line.includes('error TS')) say(line); continue; }
    // The first is of what runs already.
    if (!isFirst && errors === '0') engine = await restarted(engine, () => startEngine({ stateDir, ports, env }));
    isFirst = false;
  }
}

/** One that cannot start leaves the old sources' successor to the next change. */
async function restarted(old: Engine, start: () => Promise<Engine>): Promise<Engine> {
  await old.program.stop();
  const engine = await start().catch((error: unknown) => { say(error instanceof Error ? error.message : String(error)); return old; });
  if (engine !== old) say(`engine started again at ${new Date().toLocaleTimeString()}`);
  return engine;
}

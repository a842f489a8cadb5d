import { realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runDemo } from './demo.ts';
import { DemoFailed } from './demo-failed.ts';
import { changeKept } from './kept-state.ts';
import type { Program } from './programs.ts';
import { createShow } from './show.ts';

const USAGE = `make demo [ARGS=--once] [REPO=path]

  --once         end after the show, with 0 if all of it came about
  --repo <path>  show this repository (else REPO, else this project's own history)

TEKAI_STATE_DIR (.tekai/demo), TEKAI_PORT (8080) and TEKAI_INTERNAL_PORT (8081) are heeded.
`;

/** Ctrl-C may come twice for one key press: from the terminal and from npm or make. */
const SAME_PRESS_MS = 500;

const started: Program[] = [];
const show = createShow(process.stdout, process.env);
const project = realpathSync(fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../..' : '../../..', import.meta.url)));
const stateDir = path.resolve(process.env['TEKAI_STATE_DIR'] || path.join(project, '.tekai', 'demo'));
const told = whenTold();

process.exit(await main());

async function main(): Promise<number> {
  const words = wordsGiven();
  if (typeof words === 'string') { process.stderr.write(`${words}\n${USAGE}`); return 64; }
  if (words.help) { process.stdout.write(USAGE); return 0; }
  try {
    const repository = words.repo ?? process.env['REPO'];
    const showing = runDemo({ show, isKeptUp: !words.once, env: process.env, stateDir, project, repository: repository === '' ? undefined : repository, started: (program) => started.push(program) });
    const shown = await Promise.race([showing, told]);
    if (shown === 'told' || words.once) return 0;
    show.line('\n  Ctrl-C ends the demo; what it stored stays for the next one.');
    const ends = [shown.engine.program, shown.gitlab.program].map((program) => program.ended.then((how) => { throw new DemoFailed(`The ${program.name} ended by itself (${how}); ${program.logFile} says why.`); }));
    await Promise.race([told, ...ends]);
    return 0;
  } catch (error) {
    process.stderr.write(`\nThe demo did not come about. ${error instanceof DemoFailed ? error.message : error instanceof Error ? error.stack : String(error)}\n${started.length > 0 ? `Logs and state are in ${stateDir}; remove that folder to begin anew.\n` : ''}`);
    return 1;
  } finally {
    await Promise.all(started.reverse().map((program) => program.stop()));
    if (started.length > 0) changeKept(stateDir, { programs: [] });
  }
}

function wordsGiven(): { once: boolean; help: boolean; repo: string | undefined } | string {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false }, repo: { type: 'string' } } });
    return { once: values.once, help: values.help, repo: values.repo };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function whenTold(): Promise<'told'> {
  return new Promise((resolve) => {
    let at: number | undefined;
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (at !== undefined && performance.now() - at > SAME_PRESS_MS) process.exit(130);
        if (at === undefined) show.line('\n  Stopping …');
        at ??= performance.now();
        resolve('told');
      });
    }
  });
}

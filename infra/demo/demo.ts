import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createApiClient, type ApiClient } from '#shared/api-client/api-client.ts';
import { choosePorts } from './choose-ports.ts';
import { chooseRepository } from './choose-repository.ts';
import { DemoFailed } from './demo-failed.ts';
import { startEngine, withoutOurs, type Engine } from './engine.ts';
import { asUser, createGit, type Git } from './git.ts';
import { changeKept, readKept } from './kept-state.ts';
import { endLeftovers, fileOf, type Program } from './programs.ts';
import { quoted, type Show } from './show.ts';
import { startSimulatedGitLab, type SimulatedGitLab } from './simulated-gitlab.ts';
import { timeTheRoad } from './time-the-road.ts';

export interface DemoOptions {
  readonly show: Show;
  readonly env: NodeJS.ProcessEnv;
  readonly stateDir: string;
  /** The project that we run from. */
  readonly project: string;
  readonly repository: string | undefined;
  /** Whether there will be something to try when it was shown. */
  readonly isKeptUp: boolean;
  /** What was started, as it starts: to be stopped whatever happens. */
  started(program: Program): void;
}

export interface Shown { readonly engine: Engine; readonly gitlab: SimulatedGitLab }

/** Starts everything, shows a first sync and a push, and says what to try next. @throws DemoFailed */
export async function runDemo(options: DemoOptions): Promise<Shown> {
  const { show, env, stateDir } = options;
  show.heading('TekAI Context Engine');
  makeStateDir(stateDir);
  const kept = readKept(stateDir);
  await endLeftovers(stateDir, show.line);
  changeKept(stateDir, { demo: process.pid });
  const ports = await choosePorts(env, { kept: kept.ports, say: show.line });
  // Webhooks name the engine's port and sources GitLab's: another port means another source.
  const isSameAddress = kept.ports?.engine === ports.engine && kept.ports.gitlab === ports.gitlab;
  const number = (kept.shows ?? 0) + 1;
  changeKept(stateDir, { ports, shows: number });

  const began = performance.now();
  const gitlab = await startSimulatedGitLab({ stateDir, port: ports.gitlab, env: withoutOurs(env) });
  options.started(gitlab.program);
  show.line(`  simulated GitLab  ${gitlab.url}`);
  const engine = await startEngine({ stateDir, ports, env });
  options.started(engine.program);
  show.line(`  engine            ${engine.url}  ready after ${((performance.now() - began) / 1_000).toFixed(1)} s, state in ${stateDir}`);

  const work = path.join(stateDir, 'demo-work');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  try {
    const git = createGit(work);
    const client = createApiClient(engine);
    const shown = await showFirstSync({ ...options, git, work, client, engine, gitlab, number, sourceName: await sourceFor(client, { gitlab, number, isSameAddress }) });
    await showPush({ ...options, git, work, client, gitlab, number, ...shown });
    if (options.isKeptUp) sayWhatNext(options, { engine, gitlab }, { project: shown.project, file: `tekai-demo-${number}.md` });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { engine, gitlab };
}

function makeStateDir(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true });
    changeKept(stateDir, {});
  } catch (error) {
    throw new DemoFailed(`The state folder ${stateDir} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}). Give one that can: TEKAI_STATE_DIR=/tmp/tekai-demo make demo`);
  }
}

async function sourceFor(client: ApiClient, { gitlab, number, isSameAddress }: { gitlab: SimulatedGitLab; number: number; isSameAddress: boolean }): Promise<{ name: string; isKnown: boolean }> {
  const known = isSameAddress ? (await client.sources()).find((source) => source.baseUrl === gitlab.url) : undefined;
  return known === undefined ? { name: number === 1 ? 'demo' : `demo-${number}`, isKnown: false } : { name: known.name, isKnown: true };
}

interface FirstSync extends DemoOptions {
  readonly git: Git;
  readonly work: string;
  readonly client: ApiClient;
  readonly engine: Engine;
  readonly gitlab: SimulatedGitLab;
  readonly number: number;
  readonly sourceName: { readonly name: string; readonly isKnown: boolean };
}

async function showFirstSync(options: FirstSync): Promise<{ project: string; codebase: string }> {
  const { show, git, work, client, engine, gitlab, number, sourceName } = options;
  const repository = await chooseRepository({ git, folder: work, wanted: options.repository, project: options.project });
  const project = await gitlab.takeOver(repository.folder, number === 1 ? repository.name : `${repository.name}-${number}`);
  show.heading(`The first sync of ${repository.about}`);
  const env = { ...withoutOurs(options.env), TEKAI_URL: engine.url, TEKAI_TOKEN: engine.token, TEKAI_GITLAB_TOKEN: gitlab.token };
  if (!sourceName.isKnown) await runTekai(['source', 'add', gitlab.url, '--name', sourceName.name], { show, env });
  await runTekai(['codebase', 'add', sourceName.name, project], { show, env });
  for await (const codebase of client.codebases()) if (codebase.path === project) return { project, codebase: codebase.id };
  throw new DemoFailed(`The codebase ${project} was registered, but GET ${engine.url}/v1/codebases does not list it.`);
}

/** The same program that a person would type. */
async function runTekai(words: readonly string[], { show, env }: { show: Show; env: NodeJS.ProcessEnv }): Promise<void> {
  show.command(`tekai ${words.map(quoted).join(' ')}`);
  const child = spawn(process.execPath, [...process.execArgv, fileOf('services/main'), ...words], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new DemoFailed(`"tekai ${words.join(' ')}" ended with ${code ?? 'a signal'}; what it said stands above.`);
}

interface ShowPush extends DemoOptions {
  readonly git: Git;
  readonly work: string;
  readonly client: ApiClient;
  readonly gitlab: SimulatedGitLab;
  readonly number: number;
  readonly project: string;
  readonly codebase: string;
}

async function showPush({ show, git, work, client, gitlab, number, project, codebase }: ShowPush): Promise<void> {
  const file = `tekai-demo-${number}.md`;
  show.heading(`A real push: git commit ${file}, git push`);
  await untilHooked(client, codebase);
  const clone = path.join(work, 'clone');
  const env = asUser(gitlab.token);
  // One commit deep, so that a large repository does not keep us waiting.
  await git(['clone', '--quiet', '--depth', '1', `${gitlab.url}/${project}.git`, clone], { env });
  const content = `# Hello from the demo\n\nPushed ${new Date().toISOString()}, and readable through the engine a moment later.\n`;
  writeFileSync(path.join(clone, file), content);
  await git(['add', file], { cwd: clone });
  await git(['commit', '--quiet', '--message', `Add ${file}`], { cwd: clone });
  const [commit, tree] = await Promise.all([git(['rev-parse', 'HEAD'], { cwd: clone }), git(['rev-parse', 'HEAD^{tree}'], { cwd: clone })]);

  const { began, steps } = await timeTheRoad(client, { codebase, commit, file, content, push: () => git(['push', '--quiet', 'origin', 'HEAD'], { cwd: clone, env }) });
  for (const step of steps) show.step(step.at - began, step.what, step.detail);
  const at = (what: string) => steps.find((step) => step.what === what)?.at;
  const [received, readable] = [at('delivery received'), at('file readable')];
  if (received === undefined || at('codebase.stored') === undefined) throw new DemoFailed(`The file is readable, but GET ${client.url}/v1/events?key=${codebase} shows no ${received === undefined ? 'push.received' : 'codebase.stored'} of commit ${commit}: it came by another way than the webhook.`);
  const stored = (await client.codebase(codebase)).head;
  if (stored?.tree !== tree) throw new DemoFailed(`The engine's root tree is ${stored?.tree ?? 'none'}, git's is ${tree}.`);
  show.line(`  The root tree ${tree.slice(0, 10)} is the one that "git rev-parse HEAD^{tree}" names.`);
  if (readable !== undefined) show.line(`  From the delivery to the readable file: ${readable - received} ms. (0 is when "git push" was started.)`);
}

const HOOK_MS_MAX = 30_000;

/** The webhook is made beside the first sync; a push before it would be told to nobody. */
async function untilHooked(client: ApiClient, codebase: string): Promise<void> {
  const deadline = AbortSignal.timeout(HOOK_MS_MAX);
  for await (const _message of client.live({ channel: `codebase:${codebase}`, signal: deadline })) {
    const { hook } = await client.codebase(codebase);
    if (hook.state === 'installed') return;
    if (hook.state === 'refused') throw new DemoFailed(`GitLab refused the webhook: ${hook.reason ?? ''}`);
  }
  throw new DemoFailed(`The webhook was not made within ${HOOK_MS_MAX / 1_000} s: "tekai status" shows why.`);
}

function sayWhatNext({ show, stateDir }: DemoOptions, { engine, gitlab }: Shown, { project, file }: { project: string; file: string }): void {
  const gitUrl = gitlab.url.replace('://', `://root:${gitlab.token}@`);
  show.heading('Try next, in another terminal');
  for (const line of [
    `tekai() { node ${quoted(fileOf('services/main'))} "$@"; }; export TEKAI_URL=${engine.url} TEKAI_STATE_DIR=${quoted(stateDir)}`,
    'tekai status',
    `tekai ls ${project}`,
    `tekai cat ${project} ${file}`,
    'tekai tail',
    `git clone ${gitUrl}/${project}.git pushed && cd pushed && date > now.txt && git add . && git commit -m now && git push`,
    `curl -H "Authorization: Bearer $(cat "$TEKAI_STATE_DIR/access-token")" ${engine.url}/v1/codebases`,
  ]) show.line(`  ${line}`);
  show.line('');
  show.line(`  API ${engine.url}/v1/codebases   live ${engine.url.replace('http', 'ws')}/v1/live   GitLab's ${gitlab.url}/api/v4/projects   log ${engine.program.logFile}`);
}

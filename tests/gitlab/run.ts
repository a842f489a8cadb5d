import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../infra/gitlab-simulator/server.ts';
import { probe, type Shapes, type Subject } from './probes.ts';
import { gitEnvironment, remoteOf } from './real-world.ts';
import { reportOf, type SuiteResult } from './report.ts';
import { leftOvers, makeScratchGroup, type ScratchGroup } from './scratch-group.ts';
import { must, restOf, targetFromEnvironment, type Rest, type Target } from './target.ts';
import { createWorktree } from '#shared/gitlab/simulated-gitlab.contract.ts';

// make test-gitlab: our suites against a GitLab that is not ours, and a report of how it differs from the simulator.

const ROOT = path.resolve(import.meta.dirname, '../..');
const RESULTS = path.join(import.meta.dirname, 'results');
const folder = await mkdtemp(path.join(tmpdir(), 'tekai-test-gitlab-'));
const remarks: string[] = [];
let scratch: ScratchGroup | undefined;
let suites: ChildProcess | undefined;
let isStopped = false;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {
  if (isStopped) return;
  isStopped = true;
  process.stderr.write('\nStopping: what was made in GitLab is removed first.\n');
  if (suites !== undefined) endGroup(suites);
});

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}

/** The suites are a group of processes of their own: what they started ends with them. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended already.
  }
}

async function cleanUp(): Promise<void> {
  const left = await scratch?.remove().catch((error: unknown) => `${scratch?.path} could not be removed (${String(error)}): remove it by hand`);
  if (left !== undefined) process.stderr.write(`${left}\n`);
  else if (scratch !== undefined) process.stderr.write(`${scratch.path} is removed.\n`);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function main(): Promise<number> {
  const target = targetFromEnvironment(process.env);
  const isReadOnly = process.env['READ_ONLY'] === '1';
  const rest = restOf(target);
  if (isReadOnly && !process.env['PROJECT']) throw new Error('READ_ONLY=1 needs a project to read: PROJECT=group/project.');
  if (!isReadOnly && target.group === undefined) throw new Error('Say in which group a scratch group may be made, GROUP=my/sandbox; or only read: READ_ONLY=1 PROJECT=group/project.');
  const { version } = await must(rest('GET', '/version'), `ask ${target.url} for its version; the token needs the scope api, or read_api with READ_ONLY=1`) as { version: string };
  process.stderr.write(`GitLab ${version} at ${target.url}, ${isReadOnly ? 'reading only' : 'with a scratch group that is removed at the end'}.\n`);

  let subject: Subject;
  if (isReadOnly) subject = await subjectOf(rest, process.env['PROJECT'] ?? '');
  else {
    for (const left of await leftOvers(rest, target.group ?? '')) remarks.push(`An earlier run left ${left} behind: remove it by hand, if nobody is running one now.`);
    scratch = await makeScratchGroup(rest, target.group ?? '');
    subject = await makeSubject(target, { rest, group: scratch });
  }
  const real = await probe(rest, subject, { mayWrite: !isReadOnly });
  const simulated = await probeSimulator({ mayWrite: !isReadOnly });
  const tests = isStopped ? [] : await runSuites(isReadOnly ? ['read-only'] : ['ports', 'engine']);
  if (isStopped) remarks.push('It was stopped before its end.');
  return writeReport({ target, version, isReadOnly, real, simulated, tests });
}

/** What is probed: a project with a commit, a branch with a slash in its name, and a tag. */
async function makeSubject(target: Target, { rest, group }: { rest: Rest; group: { id: number } }): Promise<Subject> {
  const made = await must(rest('POST', '/projects', { name: 'probe', path: 'probe', namespace_id: group.id, visibility: 'private' }), 'make a project') as { id: number; path_with_namespace: string };
  const worktree = await createWorktree(path.join(folder, `probe-${made.id}-${new URL(target.url).port}`), { remote: remoteOf(target, made.path_with_namespace), objectFormat: 'sha1', environment: gitEnvironment(target) });
  await worktree.write('a.txt', 'a');
  const commit = await worktree.commit('one');
  await worktree.git('tag', '-a', 'v1', '-m', 'v1');
  await worktree.push('HEAD:refs/heads/main', 'HEAD:refs/heads/feature/x', 'refs/tags/v1');
  return { projectId: made.id, projectPath: made.path_with_namespace, groupId: group.id, commit, branch: 'feature/x', tag: 'v1' };
}

async function subjectOf(rest: Rest, projectPath: string): Promise<Subject> {
  const project = await must(rest('GET', `/projects/${encodeURIComponent(projectPath)}`), `find the project ${projectPath}`) as { id: number; path_with_namespace: string; default_branch: string | null; namespace: { id: number; kind: string } };
  if (project.default_branch === null) throw new Error(`${projectPath} is empty: take a project that has a default branch.`);
  const branch = await must(rest('GET', `/projects/${project.id}/repository/branches/${encodeURIComponent(project.default_branch)}`), 'read its default branch') as { commit: { id: string } };
  const { body: tags } = await rest('GET', `/projects/${project.id}/repository/tags?per_page=1`);
  return { projectId: project.id, projectPath: project.path_with_namespace, groupId: project.namespace.kind === 'group' ? project.namespace.id : null, commit: branch.commit.id, branch: project.default_branch, tag: (tags as { name: string }[])[0]?.name ?? null };
}

async function probeSimulator({ mayWrite }: { mayWrite: boolean }): Promise<Shapes> {
  const simulator = await startSimulator({ port: 0, dir: path.join(folder, 'simulator') });
  try {
    const target: Target = { url: simulator.url, token: simulator.token, group: undefined, caFile: undefined, proxyUrl: undefined };
    const rest = restOf(target);
    const group = await must(rest('POST', '/groups', { name: 'probe', path: 'probe', visibility: 'private' }), 'make a group') as { id: number };
    return await probe(rest, await makeSubject(target, { rest, group }), { mayWrite });
  } finally {
    await simulator.stop();
  }
}

async function runSuites(names: readonly string[]): Promise<SuiteResult[]> {
  const [resultFile, notesFile, remarksFile] = ['result.json', 'notes.jsonl', 'remarks.txt'].map((name) => path.join(folder, name)) as [string, string, string];
  writeFileSync(notesFile, '');
  writeFileSync(remarksFile, '');
  suites = spawn(process.execPath, [
    '--experimental-vm-modules', '--disable-warning=ExperimentalWarning', path.join(ROOT, 'node_modules/jest/bin/jest.js'), '--rootDir', ROOT, '--testMatch', ...names.map((name) => `**/tests/gitlab/${name}.real.ts`),
    '--json', `--outputFile=${resultFile}`, '--maxWorkers=1', '--testTimeout=300000', '--forceExit',
  ], { cwd: ROOT, detached: true, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TEST_GITLAB_SCRATCH: JSON.stringify(scratch === undefined ? null : { id: scratch.id, path: scratch.path }), TEST_GITLAB_NOTES: notesFile, TEST_GITLAB_REMARKS: remarksFile } });
  await once(suites, 'exit');
  // An engine whose test ended early would stay behind.
  endGroup(suites);
  remarks.push(...readFileSync(remarksFile, 'utf8').split('\n').filter((line) => line !== ''));
  if (!existsSync(resultFile)) { remarks.push('The suites did not come to an end.'); return []; }
  const notTried = new Map(readFileSync(notesFile, 'utf8').split('\n').filter((line) => line !== '').map((line) => { const { name, why } = JSON.parse(line) as { name: string; why: string }; return [name, why] as const; }));
  const { testResults } = JSON.parse(readFileSync(resultFile, 'utf8')) as { testResults: { message: string; assertionResults: { title: string; fullName: string; status: string; failureMessages: string[] }[] }[] };
  for (const { message, assertionResults } of testResults) if (assertionResults.length === 0) remarks.push(`A suite did not run: ${message.slice(0, 500)}`);
  return testResults.flatMap(({ assertionResults }) => assertionResults.map(({ title, fullName, status, failureMessages }): SuiteResult => {
    if (status === 'failed') return { name: fullName, state: 'failed', why: withoutSecrets(failureMessages.join('\n')) };
    return notTried.has(title) ? { name: fullName, state: 'not tried', why: notTried.get(title) ?? null } : { name: fullName, state: status === 'passed' ? 'passed' : 'not tried', why: null };
  }));
}

/** Whoever reads the report need not be whoever owns the token. */
function withoutSecrets(text: string): string {
  const token = process.env['GITLAB_TOKEN'] ?? '';
  return [token, encodeURIComponent(token)].filter((secret) => secret !== '').reduce((clean, secret) => clean.replaceAll(secret, '<token>'), text);
}

function writeReport({ target, version, isReadOnly, real, simulated, tests }: { target: Target; version: string; isReadOnly: boolean; real: Shapes; simulated: Shapes; tests: readonly SuiteResult[] }): number {
  const at = new Date().toISOString();
  mkdirSync(RESULTS, { recursive: true });
  const file = path.join(RESULTS, `${new URL(target.url).host.replace(/[^\w.-]/g, '-')}-${at.slice(0, 19).replaceAll(':', '')}.md`);
  const report = withoutSecrets(reportOf({ url: target.url, version, mode: isReadOnly ? 'read only' : 'read and write', at, real, simulated, tests, remarks }));
  writeFileSync(file, report);
  const failed = tests.filter(({ state }) => state === 'failed');
  process.stderr.write(`${report.split('\n')[2] ?? ''}\n${failed.map(({ name }) => `  failed: ${name}\n`).join('')}The report is ${path.relative(process.cwd(), file)}.\n`);
  return failed.length > 0 || tests.length === 0 || isStopped ? 1 : 0;
}

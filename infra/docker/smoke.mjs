// The smoke test of a running engine, for CI and after an upgrade: a project at the simulator is registered, pushed to and read, all
// through the gateway. `docker compose run --rm smoke`, or with Node 20 and git anywhere: TEKAI_TOKEN=… URL=… SIMULATOR_URL=… node smoke.mjs
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const { env } = process;
const url = env.URL || 'http://127.0.0.1:8080';
const simulator = env.SIMULATOR_URL || 'http://127.0.0.1:8929';
const token = env.TEKAI_TOKEN || readFileSync(path.join(env.TEKAI_STATE_DIR || '.tekai', 'access-token'), 'utf8').trim();
const adminToken = env.SIMULATOR_ADMIN_TOKEN || 'simulator-admin';
const rootToken = env.SIMULATOR_ROOT_TOKEN || 'simulator-root';
/** Of a machine that does other things too; the engine itself takes a second. Shorter than polling would take to find what no webhook told. */
const WAIT_MS_MAX = 45_000;

/** Where Docker puts its networks, and with them the simulator. */
const DOCKER_NETWORKS = ['172.16.0.0/12', '192.168.0.0/16'];

const folder = mkdtempSync(path.join(tmpdir(), 'tekai-smoke-'));
const git = (...words) => execFileSync('git', ['-C', folder, '-c', 'user.name=smoke', '-c', 'user.email=smoke@example.com', ...words], { stdio: ['ignore', 'pipe', 'pipe'] }).toString().trim();
const name = `smoke-${randomUUID().slice(0, 8)}`;

async function ask(method, address, { headers = {}, body } = {}) {
  const response = await fetch(address, { method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (response.status >= 400) throw new Error(`${method} ${address}: ${response.status} ${text}`);
  return { status: response.status, text };
}
const engine = async (method, where, body) => ask(method, `${url}${where}`, { headers: { authorization: `Bearer ${token}`, 'idempotency-key': randomUUID() }, body });

/** A commit with this text in a file, pushed. */
function push(text) {
  writeFileSync(path.join(folder, 'README.md'), text);
  git('add', '.');
  git('commit', '-q', '-m', text);
  git('push', '-q', `${simulator.replace('://', `://x:${rootToken}@`)}/root/${name}.git`, 'HEAD:refs/heads/main');
  return git('rev-parse', 'HEAD');
}

async function read(codebase, commit, wanted) {
  const began = Date.now();
  for (;;) {
    const { status, text } = await engine('GET', `/v1/codebases/${codebase}/files/README.md?atLeast=${commit}&wait=10s`).catch((error) => ({ status: 0, text: error.message }));
    if (status === 200 && text === wanted) return `${Date.now() - began} ms`;
    if (Date.now() - began > WAIT_MS_MAX) throw new Error(`${commit} cannot be read after ${WAIT_MS_MAX} ms: ${status} ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

try {
  git('init', '-q', '-b', 'main');
  await ask('POST', `${simulator}/_simulator/projects`, { headers: { 'X-Simulator-Token': adminToken }, body: { path: name } });
  const first = push('one');
  const source = JSON.parse((await engine('POST', '/v1/sources', { name, baseUrl: simulator, token: rootToken, allowAddresses: DOCKER_NETWORKS })).text).id;
  const codebase = JSON.parse((await engine('POST', '/v1/codebases', { sourceId: source, gitlabProject: `root/${name}` })).text).id;
  console.log(`registered, and read after ${await read(codebase, first, 'one')}`);
  for (const end = Date.now() + WAIT_MS_MAX; JSON.parse((await engine('GET', `/v1/codebases/${codebase}`)).text).hook?.state !== 'installed';) {
    if (Date.now() > end) throw new Error('its webhook is not installed');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  console.log(`pushed, and read after ${await read(codebase, push('two'), 'two')}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

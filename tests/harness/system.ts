import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshDatabase } from './postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LOADER = ['--conditions=source', '--import', path.join(ROOT, 'tests/harness/ts-loader.mjs')];
/** Generous: two cores, shared with other suites. A state that has not come by then never comes. */
export const STATE_MS_MAX = 90_000;

export interface Answer { readonly status: number; readonly headers: Headers; readonly bytes: Buffer; json<T = any>(): T }

/** A real engine and a real simulator, each a process of its own, on a database of their own. */
export interface System {
  readonly url: string;
  readonly databaseUrl: string;
  readonly token: string;
  readonly stateDir: string;
  readonly gitlab: Gitlab;
  /** With the token and a fresh Idempotency-Key, unless the headers say otherwise. */
  ask(method: string, path: string, options?: { body?: unknown; raw?: Buffer; headers?: Record<string, string> }): Promise<Answer>;
  /** Registers the simulator once, and a project of it. */
  follow(project: string | number, options?: object): Promise<string>;
  sourceId(): Promise<string>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  startEngine(names?: readonly string[]): Promise<ChildProcess>;
  log(): string;
  stop(): Promise<void>;
}

export interface Gitlab {
  readonly url: string;
  readonly token: string;
  admin<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  rest<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  remote(projectPath: string): string;
}

export async function startSystem(options: { services?: readonly string[]; settings?: Readonly<Record<string, string>>; webhookToken?: string; signingToken?: string; port?: number } = {}): Promise<System> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tekai-e2e-'));
  const database = await freshDatabase();
  const simulator = run(path.join(ROOT, 'infra/gitlab-simulator/main.ts'), ['--port', '0', '--dir', path.join(folder, 'gitlab')], {});
  const ready = JSON.parse(await firstLine(simulator)) as { url: string; token: string; adminToken: string };
  const gitlab = gitlabOf(ready);
  const stateDir = path.join(folder, 'state');
  const ports = [options.port ?? await freePort(), await freePort()];
  const url = `http://127.0.0.1:${ports[0]}`;
  const engines = new Set<ChildProcess>();
  const printed: string[] = [];
  let token = '';
  let source: Promise<string> | undefined;

  const system: System = {
    url, stateDir, gitlab, databaseUrl: database.url,
    get token() { return token; },
    log: () => printed.join(''),

    async startEngine(names = []) {
      const env = { TEKAI_STATE_DIR: stateDir, TEKAI_PORT: String(ports[0]), TEKAI_INTERNAL_PORT: String(ports[1]), TEKAI_DATABASE_URL: database.url, TEKAI_LOG_LEVEL: 'info', ...options.settings };
      const isExtra = engines.size > 0;
      const child = run(path.join(ROOT, 'services/main.ts'), ['up', ...names], isExtra ? { ...env, TEKAI_PORT: '0', TEKAI_INTERNAL_PORT: '0', TEKAI_PUBLIC_URL: url } : env);
      engines.add(child);
      child.once('exit', () => engines.delete(child));
      child.stdout?.on('data', (piece: Buffer) => printed.push(piece.toString()));
      child.stderr?.on('data', (piece: Buffer) => printed.push(piece.toString()));
      if (isExtra) await until('another engine is up', () => printed.join('').split('"msg":"up"').length > 2 || undefined);
      else await until('the engine is ready', async () => {
        if (child.exitCode !== null) throw new Error(`the engine ended with ${child.exitCode}:\n${printed.join('')}`);
        return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok || undefined;
      });
      token = (await readFile(path.join(stateDir, 'access-token'), 'utf8')).trim();
      return child;
    },

    async ask(method, where, { body, raw, headers = {} } = {}) {
      const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${url}${where}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...headers },
        ...(payload === undefined ? {} : { body: payload as string }),
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      return { status: response.status, headers: response.headers, bytes, json: <T>() => JSON.parse(bytes.toString('utf8')) as T };
    },

    sourceId() {
      source ??= (async () => {
        const secrets = { ...(options.webhookToken === undefined ? {} : { webhookToken: options.webhookToken }), ...(options.signingToken === undefined ? {} : { signingToken: options.signingToken }) };
        const answer = await system.ask('POST', '/v1/sources', { body: { baseUrl: gitlab.url, token: gitlab.token, ...secrets } });
        if (answer.status !== 201) throw new Error(`source not registered: ${answer.status} ${answer.bytes.toString()}`);
        return answer.json<{ id: string }>().id;
      })();
      return source;
    },

    async follow(project, more = {}) {
      const answer = await system.ask('POST', '/v1/codebases', { body: { sourceId: await system.sourceId(), gitlabProject: project, ...more } });
      if (answer.status !== 201) throw new Error(`codebase not registered: ${answer.status} ${answer.bytes.toString()}`);
      return answer.json<{ id: string }>().id;
    },

    async kill(signal = 'SIGKILL') {
      await Promise.all([...engines].map(async (child) => { child.kill(signal); await once(child, 'exit'); }));
    },

    async stop() {
      await system.kill('SIGTERM');
      simulator.kill('SIGTERM');
      await once(simulator, 'exit');
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await system.startEngine(options.services);
  return system;
}

/** Waits for a state: what `look` gives as soon as it gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, msMax = STATE_MS_MAX): Promise<T> {
  const end = performance.now() + msMax;
  for (let last: unknown; ;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`waited ${msMax} ms in vain: ${what}`, { cause: last });
    await sleep(30);
  }
}

/** Waits until a ref's stored commit is this one (null: an empty repository). Returns the receipt. */
export async function untilStored(system: System, codebase: string, ref: string, commit: string | null): Promise<{ commit: string; tree: string; position: string }> {
  return until(`${ref} of ${codebase} at ${commit}`, async () => {
    const { refs } = (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string; commit: string; tree: string; position: string }[] }>();
    return refs.find((one) => one.ref === ref && one.commit === commit);
  });
}

export async function eventsOf(system: System, query: string): Promise<{ type: string; data: any; key: string; id: string; stream: string; position: string; causationId: string | null }[]> {
  const events: any[] = [];
  for (let after = ''; ;) {
    const page = (await system.ask('GET', `/v1/events?${query}&limit=1000${after === '' ? '' : `&after=${after}`}`)).json<{ events: any[]; next: string | null }>();
    events.push(...page.events);
    if (page.next === null) return events;
    after = page.next;
  }
}

function gitlabOf({ url, token, adminToken }: { url: string; token: string; adminToken: string }): Gitlab {
  const call = async (where: string, method: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(`${url}${where}`, { method, headers: { ...headers, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    url, token,
    admin: (method, where, body) => call(`/_simulator${where}`, method, { 'X-Simulator-Token': adminToken }, body),
    rest: (method, where, body) => call(`/api/v4${where}`, method, { 'PRIVATE-TOKEN': token }, body),
    remote: (projectPath) => `http://x:${token}@${url.slice('http://'.length)}/${projectPath}.git`,
  };
}

function run(file: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [...LOADER, file, ...args], { cwd: ROOT, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env }, stdio: ['ignore', 'pipe', file.includes('simulator') ? 'inherit' : 'pipe'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    // What comes later must not fill the pipe.
    child.stdout.resume();
    return line;
  }
  throw new Error('ended without a word');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedForm } from './embedded-form.ts';
import type { EngineForm, FormOptions } from './engine-form.ts';
import { freshDatabase, type FreshDatabase } from './postgres.ts';
import { programOf } from './program.ts';
import { runningEmbeddedUrl } from '../../shared/postgres/embedded-join.ts';
import { stackForm, type StackEngines, type StackForm } from './stack-form.ts';
import { removeStateFolder } from './state-folder.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** Generous: two cores, shared with other suites. A state that has not come by then never comes. */
export const STATE_MS_MAX = 90_000;
const LOOK_MS = 30;
const LOOK_MS_MAX = 100;

export interface Answer { readonly status: number; readonly headers: Headers; readonly bytes: Buffer; json<T = any>(): T }

/** A real engine and a real simulator, each a process of its own, on a database of their own. With TEKAI_TEST_FORM=stack the engine is many processes, on engines of the run. */
export interface System {
  readonly url: string;
  /** Where the engine runs a Postgres of its own: that one, as it was at its last start. */
  readonly databaseUrl: string;
  /** The settings by which a program beside the engine finds what it stands on. */
  readonly stores: Readonly<Record<string, string>>;
  readonly token: string;
  /** Where health is told with reasons. */
  readonly internalUrl: string;
  readonly stateDir: string;
  readonly gitlab: Gitlab;
  /** With the token and a fresh Idempotency-Key, unless the headers say otherwise. */
  ask(method: string, path: string, options?: { body?: unknown; raw?: Buffer; headers?: Record<string, string> }): Promise<Answer>;
  /** Registers the simulator once, and a project of it. */
  follow(project: string | number, options?: object): Promise<string>;
  sourceId(): Promise<string>;
  /** By default kill -9, of its workers too. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  startEngine(names?: readonly string[]): Promise<ChildProcess>;
  log(): string;
  /** What can be broken there. Undefined: the embedded form. */
  readonly stack: StackForm | undefined;
  stop(): Promise<void>;
}

export interface Gitlab {
  readonly url: string;
  readonly token: string;
  readonly adminToken: string;
  admin<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  rest<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  remote(projectPath: string): string;
}

export interface SystemOptions {
  readonly services?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly webhookToken?: string;
  readonly signingToken?: string;
  readonly port?: number;
  /** `embedded`: the engine starts its own, in the state folder. Else this one's, and nothing of it is removed. */
  readonly database?: 'embedded' | { readonly url: string };
  /** A folder that is there, on a file system of the test's own. */
  readonly stateDir?: string;
  /** Loaded into every engine before anything else. */
  readonly preload?: string;
  /** Each line that an engine prints to stdout. */
  onLine?(line: string): void;
  /** Of the stack form, in either run, and on these. */
  readonly engines?: StackEngines;
}

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tekai-e2e-'));
  const database = await databaseFor(options);
  const simulator = runSimulator(path.join(folder, 'gitlab'));
  const ready = JSON.parse(await firstLine(simulator)) as { url: string; token: string; adminToken: string };
  const gitlab = gitlabOf(ready);
  const stateDir = options.stateDir ?? path.join(folder, 'state');
  // So that an embedded Postgres, which never runs as root, reaches its files there.
  if (options.database === 'embedded') await chmod(folder, 0o755);
  const printed: string[] = [];
  const form = await formFor(options, { folder, stateDir, databaseUrl: database.url, take: (text) => { printed.push(text); } });
  const { url } = form;
  let token = '';
  let databaseUrl = database.url;
  let source: Promise<string> | undefined;

  const system: System = {
    url, stateDir, gitlab, internalUrl: form.internalUrl, stores: form.stores,
    stack: isStack(form) ? form : undefined,
    get token() { return token; },
    get databaseUrl() { return databaseUrl; },
    log: () => printed.join(''),
    kill: (signal = 'SIGKILL') => form.kill(signal),

    async startEngine(names = []) {
      const child = await form.start(names);
      token = (await readFile(path.join(stateDir, 'access-token'), 'utf8')).trim();
      // An engine's own Postgres has another port each time.
      if (options.database === 'embedded') databaseUrl = (await runningEmbeddedUrl(stateDir)) ?? '';
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

    async stop() {
      await form.stop();
      simulator.kill('SIGTERM');
      await once(simulator, 'exit');
      await database.drop();
      if (options.database === 'embedded') await removeStateFolder(folder, path.join(stateDir, 'postgres'));
      await rm(folder, { recursive: true, force: true });
    },
  };
  await system.startEngine(options.services).catch(async (error: unknown) => { await form.stop(); throw error; });
  return system;
}

/** Waits for a state: what `look` gives as soon as it gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, msMax = STATE_MS_MAX): Promise<T> {
  const from = performance.now();
  for (let last: unknown; ;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    const waitedMs = performance.now() - from;
    if (waitedMs > msMax) throw new Error(`waited ${msMax} ms in vain: ${what}`, { cause: last });
    // Looking is work too, on the cores that the awaited needs: seldomer, the longer it takes.
    await sleep(Math.min(LOOK_MS_MAX, LOOK_MS + waitedMs / 20));
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

/** Of a simulator that said where it listens: this system's, or another. */
export function gitlabOf({ url, token, adminToken }: { url: string; token: string; adminToken: string }): Gitlab {
  const call = async (where: string, method: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(`${url}${where}`, { method, headers: { ...headers, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    url, token, adminToken,
    admin: (method, where, body) => call(`/_simulator${where}`, method, { 'X-Simulator-Token': adminToken }, body),
    rest: (method, where, body) => call(`/api/v4${where}`, method, { 'PRIVATE-TOKEN': token }, body),
    remote: (projectPath) => `http://x:${token}@${url.slice('http://'.length)}/${projectPath}.git`,
  };
}

/** What is about an engine's own Postgres is about one process, in either run. */
function formFor(options: SystemOptions, given: Pick<FormOptions, 'folder' | 'stateDir' | 'databaseUrl' | 'take'>): Promise<EngineForm> {
  const isOnStack = options.engines !== undefined || (process.env['TEKAI_TEST_FORM'] === 'stack' && options.database !== 'embedded');
  return isOnStack ? stackForm({ ...options, ...given }, options.engines) : embeddedForm({ ...options, ...given });
}

const isStack = (form: EngineForm): form is StackForm => 'services' in form;

async function databaseFor({ database }: SystemOptions): Promise<FreshDatabase> {
  if (database === undefined) return freshDatabase();
  return { url: database === 'embedded' ? '' : database.url, drop: async () => undefined };
}

function runSimulator(directory: string): ChildProcess {
  return spawn(process.execPath, [...programOf('infra/gitlab-simulator/main.ts'), '--port', '0', '--dir', directory], { cwd: ROOT, env: { PATH: process.env['PATH'], HOME: process.env['HOME'] }, stdio: ['ignore', 'pipe', 'inherit'] });
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

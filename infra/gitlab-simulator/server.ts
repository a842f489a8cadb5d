import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

import { createRepositoryLocks } from './git/repository-lock.ts';
import { createHookQueue } from './hooks/hook-queue.ts';
import { createAnswerer } from './http/answer-request.ts';
import { createFaults } from './http/faults.ts';
import { createThrottle } from './http/rate-limit.ts';
import { createRequestLog } from './http/request-log.ts';
import type { Instance } from './instance.ts';
import { createToken, createUser } from './state/create-user.ts';
import type { Settings } from './state/settings.ts';
import { openState, type State } from './state/state.ts';

export interface SimulatorOptions {
  /** 0: any free port. */
  port: number;
  /** Repositories and state. A start on the same folder goes on where the last one ended. */
  dir: string;
  host?: string;
  adminToken?: string;
  /** Secret of root's token on the first start of a folder; made up without it. */
  rootToken?: string;
  /** With `clientCaFile` only those are let in whose certificate it signed. */
  tls?: { certFile: string; keyFile: string; clientCaFile?: string };
  settings?: Partial<Omit<Settings, 'id'>>;
}

export interface Simulator {
  url: string;
  /** A personal access token of `root`, who is an administrator. */
  token: string;
  adminToken: string;
  stop(): Promise<void>;
}

const ROOT_SCOPES = ['api', 'read_api', 'read_user', 'read_repository', 'write_repository'];
/** Longer than any client keeps an idle connection, so that it never writes into one that we are closing. */
const KEEP_ALIVE_MS = 75_000;

export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  fs.mkdirSync(path.join(options.dir, 'repositories'), { recursive: true });
  const state = openState(path.resolve(options.dir));
  if (options.settings) state.changeSettings(options.settings);
  const adminToken = keptAdminToken(options);
  const address = { url: '' };
  const { instance, background } = createInstance({ state, dir: path.resolve(options.dir), adminToken, url: () => address.url });
  const token = rootToken(instance, options.rootToken);
  const server = createServer(options, createAnswerer(instance, background));
  await listen(server, options);
  address.url = `${options.tls ? 'https' : 'http'}://${options.host ?? '127.0.0.1'}:${(server.address() as AddressInfo).port}`;
  return {
    url: address.url,
    token,
    adminToken,
    stop: async () => {
      instance.hooks.stop();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await background.settled();
      state.close();
    },
  };
}

/** Work that goes on after an answer was given. */
export interface Background {
  running(): number;
  settled(): Promise<void>;
  /** Failures of it: they belong to no request, so they are kept for the tests to look at. */
  failures(): string[];
}

function createInstance(own: { state: State; dir: string; adminToken: string; url: () => string }): { instance: Instance; background: Background } {
  const { state, dir, adminToken } = own;
  const running = new Set<Promise<void>>();
  const failures: string[] = [];
  const clock = { offsetMs: 0 };
  const now = (): Date => new Date(Date.now() + clock.offsetMs);
  const instance: Instance = {
    state,
    dir,
    adminToken,
    locks: createRepositoryLocks(),
    faults: createFaults(),
    throttle: createThrottle(now),
    requests: createRequestLog(now),
    hooks: createHookQueue(() => instance),
    lags: new Map(),
    now,
    advanceClock: (milliseconds) => {
      clock.offsetMs += milliseconds;
    },
    url: () => state.settings().externalUrl?.replace(/\/$/, '') ?? own.url(),
    inBackground: (work) => {
      const one: Promise<void> = work()
        .catch((error: unknown) => void failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error)))
        .finally(() => running.delete(one));
      running.add(one);
    },
  };
  const settled = async (): Promise<void> => {
    while (running.size > 0) await Promise.all(running);
  };
  return { instance, background: { running: () => running.size, settled, failures: () => failures } };
}

function createServer(options: SimulatorOptions, answer: http.RequestListener): http.Server {
  const settings = { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0, headersTimeout: 60_000, maxHeaderSize: 64 * 1024 };
  if (!options.tls) return http.createServer(settings, answer);
  const { certFile, keyFile, clientCaFile } = options.tls;
  const client = clientCaFile === undefined ? {} : { ca: fs.readFileSync(clientCaFile), requestCert: true, rejectUnauthorized: true };
  return https.createServer({ ...settings, ...client, cert: fs.readFileSync(certFile), key: fs.readFileSync(keyFile) }, answer);
}

function listen(server: http.Server, options: SimulatorOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host ?? '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function keptAdminToken(options: SimulatorOptions): string {
  const file = path.join(options.dir, 'admin-token');
  const known = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
  const token = options.adminToken ?? (known === '' ? randomBytes(16).toString('hex') : known);
  if (token !== known) fs.writeFileSync(file, token, { mode: 0o600 });
  return token;
}

/** The first start makes what every GitLab has: the administrator, his token, and a namespace. */
function rootToken(instance: Instance, wanted: string | undefined): string {
  const { state } = instance;
  const root = state.users.get(1) ?? createUser(instance, { username: 'root', name: 'Administrator', email: 'admin@example.com', isAdmin: true });
  const known = state.tokens.get(1);
  if (known) return known.secret;
  return createToken(instance, { name: 'root', userId: root.id, scopes: ROOT_SCOPES, ...(wanted === undefined ? {} : { secret: wanted }) }).secret;
}

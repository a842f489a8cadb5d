import { join } from 'node:path';
import { spawnProgram, type Program } from './spawn-program.ts';

const MAIN = join(process.cwd(), 'infra/eventstore-double/main.ts');

/** A double of EventStoreDB as a process of its own, and what it is told to do wrong. */
export interface EventstoreDouble {
  readonly url: string;
  readonly port: number;
  readonly program: Program;
  /** Gives the fault's id. */
  fault(fault: Readonly<Record<string, unknown>>): Promise<number>;
  noFaults(): Promise<void>;
  hits(id: number): Promise<number>;
  tell(what: 'forget-recent-ids' | 'drop-subscriptions'): Promise<void>;
  /** To or of one of its nodes, by its number from 0. */
  node(what: 'lead' | 'take-down' | 'bring-up', node: number): Promise<void>;
  state(): Promise<{ events: number; recentIds: number; subscriptions: number; calls: Record<string, number> }>;
}

export interface EventstoreDoubleOptions {
  readonly directory?: string;
  readonly port?: number;
  readonly nodes?: number;
  readonly certified?: { readonly certFile: string; readonly keyFile: string };
  /** name:password */
  readonly users?: readonly string[];
}

export async function startEventstoreDouble({ directory, port = 0, nodes = 1, certified, users = [] }: EventstoreDoubleOptions = {}): Promise<EventstoreDouble> {
  const program = spawnProgram(MAIN, {
    arguments: [
      '--port', String(port), '--nodes', String(nodes), ...(directory === undefined ? [] : ['--dir', directory]), ...users.flatMap((user) => ['--user', user]),
      ...(certified === undefined ? [] : ['--tls-cert', certified.certFile, '--tls-key', certified.keyFile]),
    ],
  });
  const { url, adminUrl } = await program.line<{ url: string; adminUrl: string }>();

  const ask = async <Value>(method: string, path: string, body?: unknown): Promise<Value> => {
    const response = await fetch(`${adminUrl}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return await response.json() as Value;
  };

  return {
    url, program, port: Number(/:(\d+)\?/.exec(url)?.[1]),
    fault: async (fault) => (await ask<{ id: number }>('POST', '/faults', fault)).id,
    noFaults: async () => { await ask('DELETE', '/faults'); },
    hits: async (id) => (await ask<{ id: number; hits: number }[]>('GET', '/faults')).find((one) => one.id === id)?.hits ?? 0,
    tell: async (what) => { await ask('POST', `/${what}`); },
    node: async (what, node) => { await ask('POST', `/${what}`, { node }); },
    state: () => ask('GET', '/state'),
  };
}

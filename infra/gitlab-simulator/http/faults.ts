/** Faults that are asked for over the admin endpoint. The README of this folder shows each. */
export interface HttpFaultSpec {
  kind: 'http';
  method?: string;
  path?: string;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  retryAfterSeconds?: number;
  html?: boolean;
  redirectTo?: string;
  silent?: boolean;
  gitError?: string;
  delayMs?: number;
  bytesPerSecond?: number;
  cutAfterBytes?: number;
}

export interface HookFaultSpec {
  kind: 'hook';
  action: 'drop' | 'duplicate' | 'delay' | 'reorder';
  /** Matched against trigger and X-Gitlab-Event ("push_hooks Push Hook"). */
  event?: string;
  url?: string;
  project?: number;
  delayMs?: number;
  /** `reorder`: so many deliveries are held, then sent last first. */
  window?: number;
}

export interface LagFaultSpec {
  kind: 'lag';
  project?: number;
  milliseconds: number;
}

export type FaultSpec = (HttpFaultSpec | HookFaultSpec | LagFaultSpec) & {
  /** So many times, then never again; without it until cleared. */
  times?: number;
  /** Matches let through before the first hit. */
  skip?: number;
  probability?: number;
  seed?: number;
};

export interface Fault {
  id: number;
  spec: FaultSpec;
  hits: number;
  left: number | null;
}

export interface Faults {
  add(spec: FaultSpec): Fault;
  list(): Fault[];
  remove(id: number): boolean;
  clear(): void;
  takeHttp(method: string, path: string): { id: number; spec: HttpFaultSpec } | null;
  takeHook(about: { event: string; url: string; project: number | null }): HookFaultSpec | null;
  takeLag(project: number): LagFaultSpec | null;
}

interface Armed extends Fault {
  skipLeft: number;
  random(): number;
}

export function createFaults(): Faults {
  let armed: Armed[] = [];
  let nextId = 1;
  const take = (matches: (spec: FaultSpec) => boolean): Armed | null => {
    for (const fault of armed) {
      if (fault.left === 0 || !matches(fault.spec)) continue;
      if (fault.skipLeft > 0) {
        fault.skipLeft -= 1;
        continue;
      }
      if (fault.spec.probability !== undefined && fault.random() >= fault.spec.probability) continue;
      fault.hits += 1;
      if (fault.left !== null) fault.left -= 1;
      return fault;
    }
    return null;
  };
  return {
    add: (spec) => {
      const fault: Armed = { id: nextId++, spec, hits: 0, left: spec.times ?? null, skipLeft: spec.skip ?? 0, random: seededRandom(spec.seed ?? 1) };
      armed.push(fault);
      return fault;
    },
    list: () => armed.map(({ id, spec, hits, left }) => ({ id, spec, hits, left })),
    remove: (id) => {
      const before = armed.length;
      armed = armed.filter((fault) => fault.id !== id);
      return armed.length < before;
    },
    clear: () => {
      armed = [];
    },
    takeHttp: (method, path) => {
      const fault = take((spec) => spec.kind === 'http' && matchesText(spec.method, method) && matchesText(spec.path, path));
      return fault?.spec.kind === 'http' ? { id: fault.id, spec: fault.spec } : null;
    },
    takeHook: ({ event, url, project }) => {
      const fault = take((spec) => spec.kind === 'hook' && matchesText(spec.event, event) && matchesText(spec.url, url) && (spec.project === undefined || spec.project === project));
      return fault?.spec.kind === 'hook' ? fault.spec : null;
    },
    takeLag: (project) => {
      const fault = take((spec) => spec.kind === 'lag' && (spec.project === undefined || spec.project === project));
      return fault?.spec.kind === 'lag' ? fault.spec : null;
    },
  };
}

function matchesText(pattern: string | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(pattern).test(text);
}

/** mulberry32: the same seed gives the same faults, so that a failing drill can be run again. */
function seededRandom(seed: number): () => number {
  let at = seed >>> 0;
  return () => {
    at = (at + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(at ^ (at >>> 15), at | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

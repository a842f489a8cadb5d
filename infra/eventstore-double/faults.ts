/** What can be made to go wrong, and at which calls. */
export const FAULTS = {
  /** Takes the call and never answers. */
  silent: ['append', 'read', 'subscribe'],
  /** What a server says while it starts. */
  'not-ready': ['append', 'read', 'subscribe'],
  /** A gRPC status without a word of the store's: `code` 2 (an exception of the handler), 8 (short of memory) or 13 (the stream was reset). */
  wordless: ['append', 'read', 'subscribe'],
  /** What a follower says; with `host` and `port` of the leader. */
  'not-leader': ['append', 'read', 'subscribe'],
  /** "Commit phase timeout", though it is stored. */
  'time-out-after-storing': ['append'],
  /** Stores, and ends the connection that the append came on. */
  'cut-after-storing': ['append'],
  /** Takes `delayMs` to store. A copy that comes meanwhile is dropped, as by the real one, and times out 2 s later. */
  'slow-commit': ['append'],
  /** Says everything twice: the answer to a batch append, the events of a subscription. */
  'answer-twice': ['batch-append', 'subscribe'],
  /** Says nothing more after `afterEvents`. */
  'stop-mid-stream': ['read', 'subscribe'],
  /** Ends the call as unavailable after `afterEvents`. */
  'end-mid-stream': ['read', 'subscribe'],
  /** For `delayMs`, or for ever. */
  'hold-back-caught-up': ['subscribe'],
  /** Having caught up, names the end of what it looked at as a checkpoint, where no event begins yet: what 24.10 does. */
  'checkpoint-at-end': ['subscribe'],
} as const satisfies Record<string, readonly Operation[]>;

export type Operation = 'append' | 'batch-append' | 'read' | 'subscribe';
export type FaultKind = keyof typeof FAULTS;

export interface Fault {
  readonly id: number;
  readonly kind: FaultKind;
  /** Without it all calls that the kind is for. */
  readonly on?: Operation;
  /** Only calls of streams that begin so; a subscription to all has none. */
  readonly stream?: string;
  /** Calls that are let through first. */
  skip: number;
  /** Then never again; without it until it is taken away. */
  left: number;
  hits: number;
  readonly afterEvents: number;
  readonly delayMs?: number;
  readonly code?: number;
  readonly host?: string;
  readonly port?: number;
}

export interface Faults {
  /** Throws a sentence when it is none. */
  add(asked: unknown): Fault;
  list(): readonly Fault[];
  remove(id?: number): void;
  /** The fault of this kind that this call meets. */
  take(kind: FaultKind, call: { readonly on: Operation; readonly stream?: string }): Fault | undefined;
}

export function createFaults(): Faults {
  let faults: Fault[] = [];
  let last = 0;
  return {
    add(asked) {
      const fault = parseFault(asked, (last += 1));
      faults.push(fault);
      return fault;
    },
    list: () => faults,
    remove(id) {
      faults = id === undefined ? [] : faults.filter((fault) => fault.id !== id);
    },
    take(kind, { on, stream }) {
      const fault = faults.find((one) => one.kind === kind && one.left > 0 && (one.on ?? on) === on && (one.stream === undefined || stream?.startsWith(one.stream)));
      if (fault === undefined) return undefined;
      if (fault.skip > 0) {
        fault.skip -= 1;
        return undefined;
      }
      fault.left -= 1;
      fault.hits += 1;
      return fault;
    },
  };
}

const WHOLE = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const TEXT = (value: unknown) => typeof value === 'string' && value !== '';
const FIELDS: Record<string, (value: unknown) => boolean> = {
  kind: TEXT, on: TEXT, stream: TEXT, skip: WHOLE, times: (value) => WHOLE(value) && value !== 0, afterEvents: WHOLE, delayMs: WHOLE, code: (value) => value === 2 || value === 8 || value === 13, host: TEXT, port: WHOLE,
};

function parseFault(asked: unknown, id: number): Fault {
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) throw new Error('a fault is a JSON object');
  for (const [name, value] of Object.entries(asked)) {
    if (!Object.hasOwn(FIELDS, name)) throw new Error(`a fault has no ${JSON.stringify(name)}; it has ${Object.keys(FIELDS).join(', ')}`);
    if (FIELDS[name]?.(value) !== true) throw new Error(`${name} cannot be ${JSON.stringify(value)}`);
  }
  const { kind, on, skip = 0, times = Infinity, afterEvents = 0, ...rest } = asked as Partial<Fault> & { times?: number };
  if (kind === undefined || !Object.hasOwn(FAULTS, kind)) throw new Error(`kind is one of ${Object.keys(FAULTS).join(', ')}`);
  const operations: readonly Operation[] = FAULTS[kind];
  if (on !== undefined && !operations.includes(on)) throw new Error(`${kind} is for ${operations.join(', ')}`);
  if (kind === 'wordless' && rest.code === undefined) throw new Error('wordless needs code');
  if (kind === 'not-leader' && (rest.host === undefined || rest.port === undefined)) throw new Error('not-leader needs host and port of the leader');
  return { id, kind, ...(on === undefined ? {} : { on }), skip, left: times, hits: 0, afterEvents, ...rest };
}

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamName } from '#schemas/brand.ts';
import type { Fact, FactType } from '#schemas/events/facts.ts';
import type { Appendable, EventLog } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { createLogger } from '#shared/runtime/logger.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import { Unavailable } from '#shared/runtime/unavailable.ts';
import type { Bus, Consumer, Handling, Outcome } from './bus.ts';
import type { GroupStore } from './group-store.ts';
import { createLogBus, type LogBusDeps } from './log-bus.ts';
import { createLocalProgressChannel } from './local-progress-channel.ts';

/** A bus as one process has it. */
export interface OpenBus {
  readonly bus: Bus;
  /** kill -9: from now on nothing of this process has an effect, and no answer reaches it. */
  crash(): void;
  /** SIGSTOP: what it does next, and the answers to what it has asked, come after `goOn`. */
  pause(): void;
  goOn(): void;
  isDead(): boolean;
  readonly died: Promise<void>;
}

/** One log and one memory of groups, on which buses are opened one after the other, or side by side. */
export interface Bench {
  readonly log: EventLog;
  open(): OpenBus;
  /** What the group memory does not answer: from now on, until said otherwise. */
  setAway(what: 'everything' | 'parking' | 'nothing'): void;
  /** So much time passes, for the store, that every lease has run out. */
  runOut(): Promise<void>;
  /** Whether processes of a group share its keys; else one of them does all of it, and the others stand by. */
  readonly isShared?: boolean;
  /** Where they share its keys: whether a key is of the share that has the lease of this name. */
  isOf?(lease: string, key: string): boolean;
  close?(): Promise<void>;
}

export interface LogBusBench extends Bench {
  /** How long the bus wanted to sleep, each time. */
  readonly slept: number[];
  /** Called before each call of the store; `die` ends the process instead of, or right after, the call. */
  onStoreCall: (call: { name: string; args: readonly unknown[]; die(): void }) => void;
}

const never = new Promise<never>(() => undefined);

/** What processes share. */
export interface Shared {
  /** As one process has it, until `life` ends: with it its leases do. */
  open(life: AbortSignal): GroupStore;
  runOut(): Promise<void>;
}

/** The bus of one process. */
export type BusOfProcess = (deps: LogBusDeps & { readonly log: EventLog }, process: { readonly life: AbortSignal; isPaused(): boolean }) => Bus;

/** Sleeps are cut to `sleepMsMax`: the order of things stays, and a back-off of 30 s does not take 30 s. */
export function createLogBusBench(shared: Shared, options: { readonly sleepMsMax?: number; readonly log?: EventLog; readonly createBus?: BusOfProcess } = {}): LogBusBench {
  const { sleepMsMax = 5, log = createMemoryEventLog(), createBus = createLogBus } = options;
  let away: Parameters<Bench['setAway']>[0] = 'nothing';
  const bench: LogBusBench = { log, slept: [], onStoreCall: () => undefined, setAway(what) { away = what; }, runOut: shared.runOut, open };
  return bench;

  function open(): OpenBus {
    const life = new AbortController();
    const store = shared.open(life.signal);
    const isDead = () => life.signal.aborted;
    let pause = createGate();
    let isPaused = false;
    pause.open();
    const call = async (name: string, args: readonly unknown[]) => {
      await pause.opened;
      if (isDead()) return never;
      bench.onStoreCall({ name, args, die: () => life.abort() });
      if (isDead()) return never;
      if (away === 'everything' || (away === 'parking' && name === 'park')) throw new Unavailable('group store', 'away');
      const answer = await (store[name as keyof GroupStore] as (...all: readonly unknown[]) => Promise<unknown>)(...args);
      await pause.opened;
      return isDead() ? never : answer;
    };
    const mortal = new Proxy(store, { get: (_store, name) => (...args: unknown[]) => call(String(name), args) });
    const sleep = async (ms: number, signal: AbortSignal) => {
      bench.slept.push(ms);
      await delay(Math.min(ms, sleepMsMax), undefined, { signal }).catch(() => undefined);
      await pause.opened;
    };
    const bus = createBus({ log, store: mortal, progress: createLocalProgressChannel(), logger: createLogger('silent'), now: () => new Date(), sleep }, { life: life.signal, isPaused: () => isPaused });
    return {
      isDead,
      crash: () => life.abort(),
      pause: () => { pause = createGate(); isPaused = true; },
      goOn: () => { isPaused = false; pause.open(); },
      died: new Promise((resolve) => { life.signal.addEventListener('abort', () => resolve()); }),
      bus: {
        ...bus,
        consume: (consumer, signal) => bus.consume(mortalConsumer(consumer, { isDead, isGoingOn: () => pause.opened }), AbortSignal.any([signal, life.signal])),
      },
    };
  }
}

function mortalConsumer(consumer: Consumer, { isDead, isGoingOn }: { isDead(): boolean; isGoingOn(): Promise<void> }): Consumer {
  return {
    ...consumer,
    async handle(fact, handling) {
      await isGoingOn();
      if (isDead()) return never;
      try {
        const outcome = await consumer.handle(fact, handling);
        await isGoingOn();
        return isDead() ? await never : outcome;
      } catch (error) {
        if (isDead()) await never;
        throw error;
      }
    },
  };
}

/** Appends a fact of a key. It is called by its label: `a1` is of the key `a`. */
export async function append(log: EventLog, label: string, options: { type?: FactType; isUnreadable?: boolean } = {}): Promise<void> {
  const { type = 'sync.requested', isUnreadable = false } = options;
  const codebaseId = randomUUID() as never;
  const data = type === 'sync.requested' ? { codebaseId, ref: null, command: { id: label, digest: '0'.repeat(64) } } : { codebaseId, sourceId: randomUUID() as never, reason: label, gitlabHookId: 1, how: 'created', isSigned: true };
  const fact = newFact<FactType>({ type, key: keyOf(label), actor: { kind: 'worker', id: 'test' }, correlationId: label, causationId: null, time: new Date(), data: data as never });
  const stream = `${type === 'sync.requested' ? 'command' : 'codebase'}-${randomUUID()}` as StreamName;
  await log.append(stream, 'noStream', [isUnreadable ? ({ ...fact, data: { codebaseId: 'no id' } } as Appendable) : fact]);
}

export const keyOf = (label: string) => label.replace(/\d+$/, '');
export const done: Outcome = { kind: 'done' };

export interface Worker {
  /** Every call of `handle`, by label. */
  readonly handled: string[];
  readonly completed: string[];
  readonly handlings: Map<string, Handling>;
  /** How many were in hand at once, at most. */
  readonly mostAtOnce: () => number;
  /** Told to stop, and through with it. */
  stop(): Promise<void>;
}

export type Script = (label: string, times: number, handling: Handling) => Outcome | Promise<Outcome>;

/** Consumes by a script: what becomes of a fact, by its label and how often it came. */
export function startWorker(bus: Bus, script: Script, options: Partial<Consumer> = {}): Worker {
  const stopping = new AbortController();
  const times = new Map<string, number>();
  const worker = { handled: [] as string[], completed: [] as string[], handlings: new Map<string, Handling>() };
  let inHand = 0;
  let most = 0;
  const handle = async (fact: Fact, handling: Handling) => {
    const label = fact.correlationId;
    times.set(label, (times.get(label) ?? 0) + 1);
    worker.handled.push(label);
    worker.handlings.set(label, handling);
    most = Math.max(most, inHand += 1);
    try {
      const outcome = await script(label, times.get(label) ?? 0, handling);
      if (outcome.kind === 'done') worker.completed.push(label);
      return outcome;
    } finally {
      inHand -= 1;
    }
  };
  const ended = bus.consume({ group: 'workers', types: ['sync.requested'], concurrency: 4, handle, ...options }, stopping.signal);
  return { ...worker, mostAtOnce: () => most, stop: async () => { stopping.abort(); await ended; } };
}

/** Something that a test decides the moment of. */
export function createGate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { opened, open: () => open() };
}

const STATE_MS_MAX = 20_000;

/** Waits for a state, never for a time. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + STATE_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await delay(2);
  }
}

/** What the tests of a bus are given: a bus on a bench of its own, and workers that are stopped when the test is over. */
export interface Suite {
  readonly bench: Bench;
  readonly bus: OpenBus['bus'];
  work(script: Script, options?: Parameters<typeof startWorker>[2]): Worker;
  add(...labels: string[]): Promise<void>;
  /** The process ends, one way or the other, and another one opens the bus. */
  reopen(how: 'stop' | 'crash'): Promise<void>;
}

export const ofKey = (labels: readonly string[], key: string) => labels.filter((label) => label.startsWith(key));
export const parkedOf = async ({ bus }: Suite, key: string) => (await bus.parked({ key }))[0];

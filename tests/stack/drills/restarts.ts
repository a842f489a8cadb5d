import { setTimeout as sleep } from 'node:timers/promises';
import { until, type System } from '../../harness/system.ts';
import { untilBusy, untilGoesOn, type StackWorld } from './stack-drill.ts';

/** From where something is under way to the signal. */
const LIFE_MS_MAX = 1_000;
const AWAY_MS = 30_000;
/** A call of the event store's is given up after 10 s. */
const AWAY_MS_SHORT = 10_000;
/** How often each way, in full. */
const TURNS = 3;

/** A server that keeps its ports and what it has written, however often it dies. */
export interface Restarted {
  readonly name: string;
  /** Resolves once it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Resolves once it serves. @throws also while its dead self still holds something */
  start(): Promise<void>;
}

export interface Restarts {
  readonly server: Restarted;
  /** Each once; in full several times. */
  readonly signals: readonly NodeJS.Signals[];
  /** As a service says it that met the outage: before that it does not end. */
  readonly met?: string;
  /** Pushes are stored also while it is away. */
  readonly isDoneWithout?: boolean;
}

/** Ends a server by each of the signals while something is under way, starts it again after a while, and waits until pushes are stored as before. */
export async function restart({ system, chance, isShort, note }: StackWorld, { server, signals, met, isDoneWithout = false }: Restarts): Promise<string> {
  const all = isShort ? signals : Array.from({ length: TURNS }, () => signals).flat();
  for (const signal of all) {
    await untilBusy(system);
    // Not waits for a state: at a moment that nobody chose.
    await sleep(chance.random() * LIFE_MS_MAX);
    const before = timesSaid(system, met);
    await server.end(signal);
    note(`${server.name} is gone by ${signal}`);
    await sleep(isShort ? AWAY_MS_SHORT : AWAY_MS);
    if (met !== undefined) await until(`somebody says "${met}"`, () => timesSaid(system, met) > before);
    if (isDoneWithout) await untilGoesOn(system);
    await until(`${server.name} starts again`, async () => { await server.start(); return true; });
    note(`${server.name} is back`);
    await untilGoesOn(system);
  }
  return `${server.name} ended by ${all.join(', ')} and started again`;
}

const timesSaid = ({ log }: System, words = '') => (words === '' ? 0 : log().split(words).length);

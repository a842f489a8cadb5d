import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { benchAcks } from './acks.ts';
import { benchFanOut } from './fan-out.ts';
import { benchGuesses } from './guesses.ts';
import { benchLogAppend } from './log-append.ts';
import { benchPushes, benchStackPushes } from './pushes.ts';
import { benchRead } from './read.ts';
import { benchRelay } from './relay.ts';
import { benchReplay } from './replay.ts';
import { benchStorage } from './storage.ts';
import { benchSync } from './sync.ts';

/** One line a measure: ours, its reference from the same run, and the ratio that is aimed at. */
export interface Measure { readonly name: string; readonly ours: string; readonly reference: string; readonly ratio: number; readonly goal: string }

const BENCHES: Readonly<Record<string, () => Promise<Measure[]>>> = {
  log: benchLogAppend, acks: benchAcks, guesses: benchGuesses, sync: benchSync, pushes: benchPushes, read: benchRead, replay: benchReplay, 'fan-out': benchFanOut, storage: benchStorage,
};
/** They need servers which package.json does not bring: run when they are named. */
const ON_SERVERS: typeof BENCHES = { relay: benchRelay, stack: benchStackPushes };
/** Beside the sources, and no part of them. */
const RESULTS = 'bench/results';

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
const known = { ...BENCHES, ...ON_SERVERS };
const unknown = wanted.filter((name) => known[name] === undefined);
if (unknown.length > 0) throw new Error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(known).join(', ')}.`);

const machine = { node: process.version, git: execFileSync('git', ['--version']).toString().trim(), cores: cpus().length, processor: cpus()[0]?.model ?? 'unknown', memoryGiB: Math.round(totalmem() / 2 ** 30) };
const began = new Date();
const results: object[] = [];
process.stdout.write(`Node ${machine.node}, ${machine.git}, ${machine.cores} × ${machine.processor}, ${machine.memoryGiB} GiB\n`);
for (const name of wanted) {
  // A figure taken beside other work says little: the load when it began stands with it.
  const load = loadavg()[0] ?? 0;
  for (const measure of await known[name]!()) {
    results.push({ bench: name, load, ...measure });
    process.stdout.write(`${measure.name.padEnd(64)} ${measure.ours.padEnd(44)} reference ${measure.reference.padEnd(44)} ratio ${measure.ratio.toFixed(2).padEnd(6)} goal ${measure.goal}\n`);
  }
}
mkdirSync(RESULTS, { recursive: true });
const file = path.join(RESULTS, `${began.toISOString().replaceAll(':', '-')}.json`);
writeFileSync(file, `${JSON.stringify({ began, machine, results }, null, 2)}\n`);
process.stdout.write(`All figures: ${file}\n`);

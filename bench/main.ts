import { cpus, totalmem } from 'node:os';
import { benchFanOut } from './fan-out.ts';
import { benchLogAppend } from './log-append.ts';
import { benchRead } from './read.ts';
import { benchReplay } from './replay.ts';
import { benchSync } from './sync.ts';

/** One line a measure: ours, its reference from the same run, and the ratio that is aimed at. */
export interface Measure { readonly name: string; readonly ours: string; readonly reference: string; readonly ratio: number; readonly goal: string }

const BENCHES: Readonly<Record<string, () => Promise<Measure[]>>> = { log: benchLogAppend, sync: benchSync, read: benchRead, replay: benchReplay, 'fan-out': benchFanOut };

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
process.stdout.write(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB\n`);
for (const name of wanted) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`There is no bench ${name}. There are: ${Object.keys(BENCHES).join(', ')}.`);
  for (const { name: measure, ours, reference, ratio, goal } of await bench()) {
    process.stdout.write(`${measure.padEnd(40)} ${ours.padEnd(24)} reference ${reference.padEnd(44)} ratio ${ratio.toFixed(2).padEnd(6)} goal ${goal}\n`);
  }
}

import { parseArgs } from 'node:util';
import { chanceOf, type Drill } from './drill.ts';

export interface DrillsRun {
  /** By which a person runs them. */
  readonly command: string;
  /** Starts what they stand on. */
  begin(): Promise<void>;
  end(): Promise<void>;
}

/** All of them or the named ones, in full unless `--short` is among the arguments. Prints one line each; ends the process with 1 when one was red; what this machine does not allow is neither. */
export async function runDrills(drills: readonly Drill[], { command, begin, end }: DrillsRun): Promise<never> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { short: { type: 'boolean', default: false } } });
  const seed = Number(process.env['SEED'] || Math.floor(Math.random() * 2 ** 31));
  const unknown = positionals.filter((name) => !drills.some((drill) => drill.name === name));
  if (unknown.length > 0 || !Number.isSafeInteger(seed)) {
    process.stderr.write(`${unknown.length > 0 ? `There is no drill ${unknown.join(', ')}` : `SEED is not a whole number: ${process.env['SEED']}`}. There are:\n${drills.map(({ name, says }) => `  ${name.padEnd(24)} ${says}\n`).join('')}`);
    process.exit(78);
  }

  await begin();
  const began = performance.now();
  const red: string[] = [];
  const notTried: string[] = [];
  for (const drill of drills.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    const became = await runDrill(drill, { seed, isShort: values.short });
    if (became === 'RED') red.push(drill.name);
    if (became === 'NOT TRIED') notTried.push(drill.name);
  }
  const again = `${command} ARGS="${red.join(' ')}" SEED=${seed}`;
  process.stdout.write(`seed ${seed}, ${minutesSince(began)} min: ${red.length === 0 ? (notTried.length === 0 ? 'all green' : 'all that were tried are green') : `RED: ${red.join(', ')} (again: ${again})`}${notTried.length === 0 ? '' : `; NOT TRIED: ${notTried.join(', ')}`}\n`);
  await end();
  process.exit(red.length === 0 ? 0 : 1);
}

type Became = 'green' | 'RED' | 'NOT TRIED';

async function runDrill(drill: Drill, { seed, isShort }: { readonly seed: number; readonly isShort: boolean }): Promise<Became> {
  const from = performance.now();
  const become = (word: Became, text: string) => {
    process.stdout.write(`${word.padEnd(9)} ${drill.name.padEnd(22)} ${minutesSince(from).padStart(5)} min  ${text}\n`);
    return word;
  };
  const note = (text: string) => void process.stderr.write(`      ${drill.name}: ${text}\n`);
  const whyNot = drill.whyNotHere?.();
  if (whyNot !== undefined) return become('NOT TRIED', whyNot);
  try {
    // Every drill begins with the run's seed, so that one alone meets the same.
    return become('green', await drill.run({ chance: chanceOf(seed), isShort, note }));
  } catch (error) {
    return become('RED', error instanceof Error ? `${error.stack ?? error.message}${error.cause === undefined ? '' : `\ncaused by ${String(error.cause)}`}` : String(error));
  }
}

function minutesSince(from: number): string {
  return ((performance.now() - from) / 60_000).toFixed(1);
}

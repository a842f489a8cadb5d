import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Of a process and all below it, in KiB, by proportional share: pages that several have count once. */
export function memoryKiB(pid: number): number {
  return treeOf(pid).reduce((sum, one) => sum + Number(/^Pss:\s+(\d+)/m.exec(readOrNothing(`/proc/${one}/smaps_rollup`))?.[1] ?? 0), 0);
}

/** The most that it was, looked at every so often until `work` has ended. */
export async function peakMemoryKiB<T>(pid: number, work: Promise<T>): Promise<{ peak: number; result: T }> {
  let peak = 0;
  const timer = setInterval(() => { peak = Math.max(peak, memoryKiB(pid)); }, LOOK_EVERY_MS);
  try {
    const result = await work;
    return { peak, result };
  } finally {
    clearInterval(timer);
  }
}

/** What lies on the disk below a folder, in KiB; 0 where there is none. */
export function diskKiB(folder: string): number {
  try {
    return Number(execFileSync('du', ['-sk', folder], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().split('\t')[0]);
  } catch {
    return 0;
  }
}

const LOOK_EVERY_MS = 250;

/** Its name in parentheses may hold anything: what is wanted stands behind the last of them. */
function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readOrNothing(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (one: number): number[] => [one, ...(children.get(one) ?? []).flatMap(below)];
  return below(pid);
}

/** A process may end between two looks. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

import { readdirSync, readFileSync } from 'node:fs';

/** Hundredths of a second, as Linux counts them in /proc on every machine that we know. */
const TICKS_A_SECOND = 100;

interface Taken { readonly wallMs: number; readonly node: number; readonly postgres: number }

/**
 * What a piece of work takes of the processor, in seconds: in this process, and in the Postgres below it. On a machine with other
 * work this says more than the clock on the wall. Postgres counts as 0 where there is no /proc.
 */
export async function processorTime(work: () => Promise<unknown>): Promise<Taken> {
  const [began, postgres, node] = [performance.now(), postgresSeconds(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(node);
  return { wallMs: performance.now() - began, node: (user + system) / 1_000_000, postgres: postgresSeconds() - postgres };
}

/** Of all children of this process and theirs, those that have ended too. */
function postgresSeconds(): number {
  const processes = new Map<number, { parent: number; ticks: number }>();
  try {
    for (const name of readdirSync('/proc')) if (/^\d+$/.test(name)) processes.set(Number(name), statOf(name));
  } catch {
    return 0;
  }
  const isOurs = (pid: number | undefined): boolean => pid !== undefined && pid !== process.pid ? isOurs(processes.get(pid)?.parent) : pid === process.pid;
  return [...processes].filter(([pid]) => pid !== process.pid && isOurs(pid)).reduce((sum, [, { ticks }]) => sum + ticks, 0) / TICKS_A_SECOND;
}

function statOf(pid: string): { parent: number; ticks: number } {
  try {
    // The name is in brackets, and may hold anything.
    const [, parent, ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number);
    // utime, stime, and of children that have ended cutime, cstime.
    return { parent: parent ?? 0, ticks: rest.slice(9, 13).reduce((sum, one) => sum + one, 0) };
  } catch {
    return { parent: 0, ticks: 0 };
  }
}

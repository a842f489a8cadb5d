import { readdirSync, readFileSync } from 'node:fs';

/** Of the engine that this process started, and all below it: Postgres of the run is not among them. */
export interface MemoryWatch {
  /** The most that was seen at once, in MiB, and which programs held how much of it then. */
  stop(): { readonly peakMiB: number; readonly then: string };
}

const EVERY_MS = 200;

/** Adds up the proportional share (PSS) of all of the engine's processes, five times a second: pages shared with others count in part. */
export function watchMemory(): MemoryWatch {
  let peak = new Map<string, number>();
  const look = () => {
    const now = shares();
    if (sumOf(now) > sumOf(peak)) peak = now;
  };
  const timer = setInterval(look, EVERY_MS);
  return {
    stop() {
      look();
      clearInterval(timer);
      return { peakMiB: mib(sumOf(peak)), then: [...peak].map(([name, kib]) => `${name} ${mib(kib)}`).join(', ') };
    },
  };
}

/** KiB by program. */
function shares(): Map<string, number> {
  const found = new Map<string, number>();
  const add = (pid: number) => {
    const name = programOf(pid);
    const kib = Number(/^Pss:\s+(\d+)/m.exec(textOf(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
    found.set(name, (found.get(name) ?? 0) + kib);
    childrenOf(pid).forEach(add);
  };
  childrenOf(process.pid).filter((pid) => textOf(`/proc/${pid}/cmdline`).includes('services/main.')).forEach(add);
  return found;
}

/** `git index-pack` says more than `git`. */
function programOf(pid: number): string {
  const [file = '', ...args] = textOf(`/proc/${pid}/cmdline`).split('\0');
  const name = file.slice(file.lastIndexOf('/') + 1);
  return name === 'git' ? `git ${args.find((arg) => /^(?:fetch|index-pack|unpack-objects|cat-file|repack|pack-objects|rev-list|remote-https?|maintenance)$/.test(arg)) ?? ''}`.trim() : name;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => textOf(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
  } catch {
    // Ended meanwhile.
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const sumOf = (shared: ReadonlyMap<string, number>) => [...shared.values()].reduce((sum, kib) => sum + kib, 0);
const mib = (kib: number) => Math.round(kib / 1_024);

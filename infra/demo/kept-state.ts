import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What one demo leaves for the next on the same state folder. */
export interface KeptState {
  /** The demo itself, while it runs. */
  readonly demo?: number;
  /** Programs that it started. */
  readonly programs?: readonly { readonly name: string; readonly pid: number }[];
  readonly ports?: Ports;
  /** How many repositories were shown: each gets a path of its own. */
  readonly shows?: number;
}

export interface Ports { readonly engine: number; readonly internal: number; readonly gitlab: number }

const fileIn = (stateDir: string) => path.join(stateDir, 'demo.json');

export function readKept(stateDir: string): KeptState {
  try {
    return JSON.parse(readFileSync(fileIn(stateDir), 'utf8')) as KeptState;
  } catch {
    return {};
  }
}

export function changeKept(stateDir: string, change: KeptState): void {
  mkdirSync(stateDir, { recursive: true });
  const file = fileIn(stateDir);
  writeFileSync(`${file}.new`, JSON.stringify({ ...readKept(stateDir), ...change }, null, 2));
  renameSync(`${file}.new`, file);
}

import { execFile } from 'node:child_process';
import path from 'node:path';
import { programOf } from './program.ts';
import type { System } from './system.ts';
import { PROGRAM as BUILT } from '../../infra/stack/service-process.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PROGRAM = programOf('services/main.ts');
/** A replay of some thousand facts takes seconds; the machine may be shared. */
const PROGRAM_MS_MAX = 180_000;

export interface Ran { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs the program as an operator does, beside the engine: on the stack as it is built. */
export function tekai({ stores, stack }: Pick<System, 'stores'> & Partial<Pick<System, 'stack'>>, ...words: readonly string[]): Promise<Ran> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...stores };
  return new Promise((resolve) => {
    execFile(process.execPath, [...(stack === undefined ? PROGRAM : [BUILT]), ...words], { cwd: ROOT, env, timeout: PROGRAM_MS_MAX }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }));
  });
}

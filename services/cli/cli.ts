import type { Writable } from 'node:stream';
export interface CliOptions { argv: readonly string[]; env: Readonly<Record<string, string | undefined>>; version: string; stdout: Writable; stderr: Writable; up(names: readonly string[]): Promise<number> }
export async function runCli(o: CliOptions): Promise<number> { return o.up(o.argv.slice(3)); }

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { TOKEN } from '#shared/api-client/scripted-engine.fixture.ts';
import type { Input } from './ask-secret.ts';
import { runCli, type CliOptions } from './cli.ts';

export interface Ran { readonly code: number; readonly stdout: string; readonly stdoutBytes: Buffer; readonly stderr: string }

export interface RunOptions extends Partial<Omit<CliOptions, 'argv'>> { readonly url?: string }

/** A stream that keeps what is written. */
export function sink({ isTTY = false } = {}): Writable & { isTTY: boolean; written(): Buffer } {
  const pieces: Buffer[] = [];
  const stream = new Writable({ write(piece: Buffer, _encoding, done) { pieces.push(Buffer.from(piece)); done(); } });
  return Object.assign(stream, { isTTY, written: () => Buffer.concat(pieces) });
}

export const NOW = new Date('2026-11-22T18:40:00.000Z');

/** Runs `tekai` in this process, with nothing of this process. */
export async function tekai(words: readonly string[], { url, ...given }: RunOptions = {}): Promise<Ran> {
  const [stdout, stderr] = [sink(), sink()];
  const code = await runCli({
    argv: ['node', 'tekai', ...words], env: url === undefined ? {} : { TEKAI_URL: url, TEKAI_TOKEN: TOKEN }, version: '1.2.3',
    stdin: new PassThrough() as Input, stdout, stderr, now: () => NOW, sleep: (_ms, signal) => untilAborted(signal),
    up: () => Promise.reject(new Error('not asked for')), demo: () => Promise.reject(new Error('not asked for')), replay: () => Promise.reject(new Error('not asked for')), verify: () => Promise.reject(new Error('not asked for')), migrateLog: () => Promise.reject(new Error('not asked for')), topics: () => Promise.reject(new Error('not asked for')), migrateBlobs: () => Promise.reject(new Error('not asked for')), secrets: () => Promise.reject(new Error('not asked for')), ...given,
  });
  return { code, stdout: stdout.written().toString('utf8'), stdoutBytes: stdout.written(), stderr: stderr.written().toString('utf8') };
}

/** Time that never passes. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

export function temporaryFolder(): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'tekai-cli-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

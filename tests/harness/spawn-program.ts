import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const LOADER = join(dirname(fileURLToPath(import.meta.url)), 'ts-loader.mjs');

/** A Node process of the test's own, which can be killed and whose lines (one JSON value each) can be waited for. */
export type Program = {
  child: ChildProcess;
  /** The next line that it prints; rejects with what it said on stderr when it ends first. */
  line<Value>(): Promise<Value>;
  /** kill -9, and wait until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and wait until it has ended; answers its exit code. */
  stop(): Promise<number | null>;
};

/** Runs a TypeScript file of ours in a process of its own; as `account`, where the tests run as root. */
export function spawnProgram(file: string, { arguments: words = [], account, within = [] }: {
  arguments?: string[]; account?: { uid: number; gid: number };
  /** A command that runs the rest of its line: `unshare`, `nice`. */
  within?: string[];
} = {}): Program {
  const [command = '', ...line] = [...within, process.execPath, '--conditions=source', '--import', LOADER, file, ...words];
  const child = spawn(command, line, {
    ...account, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => { complaint = (complaint + chunk.toString()).slice(-8_000); });
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async line<Value>() {
      const { value, done } = await lines.next();
      if (!done) return JSON.parse(value) as Value;
      await ended;
      throw new Error(`${file} ended (${child.exitCode ?? child.signalCode}): ${complaint}`);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      return child.exitCode;
    },
  };
}

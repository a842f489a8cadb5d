import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

/** What REST answers may read from git into memory. A list of 100,000 changed paths is about 10 MB. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** More git processes at once than this only take the processor from each other. Pushes and fetches are not counted. */
const READERS_MAX = 8;

export interface GitCommand {
  args: string[];
  input?: string | Buffer;
  bytesMax?: number;
  environment?: Record<string, string>;
}

export class GitFailed extends Error {
  readonly code: number | null;

  constructor(args: string[], code: number | null, stderr: string) {
    super(`git ${args.slice(0, 3).join(' ')} ended with ${code}: ${stderr.trim().slice(0, 2_000)}`);
    this.name = 'GitFailed';
    this.code = code;
  }
}

export class GitOutputTooLong extends Error {}

/** Nothing of the machine's own git configuration may change what the simulator answers. */
export function gitEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    ...extra,
  };
}

/** The folder of repositories may belong to another user, as in a container; git refuses that unless told. */
const ALWAYS = ['-c', 'safe.directory=*', '-c', 'gc.auto=0', '-c', 'maintenance.auto=false', '-c', 'core.quotePath=false'];

/** A git process whose streams the caller joins himself: packs never lie in our memory. */
export function spawnGit(args: string[], environment: Record<string, string> = {}): ChildProcessWithoutNullStreams {
  return spawn('git', [...ALWAYS, ...args], { env: gitEnvironment(environment), stdio: 'pipe' });
}

export async function runGit(command: GitCommand): Promise<Buffer> {
  await takeReader();
  try {
    return await collect(command);
  } finally {
    giveReader();
  }
}

export async function runGitText(command: GitCommand): Promise<string> {
  return (await runGit(command)).toString('utf8');
}

function collect(command: GitCommand): Promise<Buffer> {
  const bytesMax = command.bytesMax ?? OUTPUT_BYTES_MAX;
  return new Promise((resolve, reject) => {
    const child = spawnGit(command.args, command.environment);
    const chunks: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    let isTooLong = false;
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > bytesMax && !isTooLong) {
        isTooLong = true;
        child.kill('SIGKILL');
      }
    });
    child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-8_192)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (isTooLong) reject(new GitOutputTooLong(`git ${command.args[2] ?? ''} gave more than ${bytesMax} bytes`));
      else if (code === 0) resolve(Buffer.concat(chunks));
      else reject(new GitFailed(command.args, code, stderr));
    });
    // A git that ends before it has read all (a bad object id on the first line) breaks the pipe; its exit code says it better.
    child.stdin.on('error', () => undefined);
    child.stdin.end(command.input ?? '');
  });
}

const waiting: (() => void)[] = [];
let readers = 0;

function takeReader(): Promise<void> {
  if (readers < READERS_MAX) {
    readers += 1;
    return Promise.resolve();
  }
  return new Promise((resolve) => waiting.push(resolve));
}

function giveReader(): void {
  const next = waiting.shift();
  if (next) next();
  else readers -= 1;
}

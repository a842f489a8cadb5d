import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** One line of git's configuration: `['http.proxy', '']`. */
export type GitSetting = readonly [key: string, value: string];

export interface GitCommand {
  readonly args: readonly string[];
  /** Lines for its standard input, all that it gets; or `open`: whoever started it writes to `stdin`. */
  readonly input?: Iterable<string> | 'open';
  readonly signal: AbortSignal;
  /** Beside what every git is given. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Set for what talks to a server: its settings, secrets among them, and the one protocol it may speak. */
  readonly network?: { readonly settings: readonly GitSetting[]; readonly protocol: string; readonly deadlineMs: number };
}

export interface GitEnd {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly isOverDeadline: boolean;
  readonly isAborted: boolean;
  readonly stderr: string;
}

export interface RunningGit {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Once the process and all that it started have ended. Never rejects. */
  readonly ended: Promise<GitEnd>;
  stop(): void;
}

export interface GitProgram {
  /** Where `git` and what it calls are looked for; nothing else is taken from our environment. */
  readonly searchPath: string;
  /** No file that git writes grows beyond it (RLIMIT_FSIZE): no setting of git bounds a fetch (gitlab.md 7.6). */
  readonly fileBytesMax: number;
  /** Between TERM and KILL. git frees its locks on TERM. */
  readonly killGraceMs: number;
  /** `fd`: an unlinked file at /proc/self/fd/3; `environment`: GIT_CONFIG_COUNT, where there is no /proc (gitlab.md 7.2). */
  readonly secretsBy: 'fd' | 'environment';
}

/** git's words are a few lines; a server can make them many (`remote: …`). The end says what went wrong. */
const STDERR_LENGTH_MAX = 8_192;
/** Memory, not disk; where it is missing, the file lies in the temporary folder, nameless before it is written. */
const SECRETS_DIRECTORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export function secretsByDefault(): GitProgram['secretsBy'] {
  return existsSync('/proc/self/fd') ? 'fd' : 'environment';
}

/** Starts git with an empty environment, in a process group of its own so that its children end with it. */
export function startGit(program: GitProgram, command: GitCommand): RunningGit {
  const { network } = command;
  const secrets = network && program.secretsBy === 'fd' ? openNamelessFile(configText(network.settings)) : undefined;
  const environment = {
    ...environmentOf(program, network?.protocol ?? ''),
    ...command.environment,
    ...(network === undefined ? {} : secrets === undefined ? configVariables(network.settings) : { GIT_CONFIG_GLOBAL: '/proc/self/fd/3' }),
  };
  let child: ChildProcess;
  try {
    const [file, args] = network === undefined ? ['git', command.args] : bounded(program, command.args);
    child = spawn(file, args, { env: environment, detached: true, cwd: '/', stdio: ['pipe', 'pipe', 'pipe', ...(secrets === undefined ? [] : [secrets])] });
  } finally {
    if (secrets !== undefined) closeSync(secrets);
  }
  // A process that ends early closes its input under us; its exit tells what happened.
  if (command.input === 'open') child.stdin?.on('error', () => undefined);
  else pipeline(Readable.from(linesOf(command.input ?? [])), child.stdin as Writable).catch(() => undefined);
  const { ended, stop } = watch(program, command, child);
  return { stdin: child.stdin as Writable, stdout: child.stdout as Readable, ended, stop };
}

/** Runs git to its end; what it prints is read and dropped. */
export async function runGit(program: GitProgram, command: GitCommand): Promise<GitEnd> {
  const git = startGit(program, command);
  git.stdout.resume();
  return git.ended;
}

function watch(program: GitProgram, command: GitCommand, child: ChildProcess): Pick<RunningGit, 'ended' | 'stop'> {
  let stderr = '';
  let isOverDeadline = false;
  let isAborted = false;
  let hasEnded = false;
  let killing: NodeJS.Timeout | undefined;

  const signalGroup = (name: NodeJS.Signals) => {
    if (hasEnded || child.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // Gone by itself.
    }
  };
  const stop = () => {
    // What nobody reads any more would keep the pipe, and with it the end, open for ever.
    child.stdout?.destroy();
    signalGroup('SIGTERM');
    killing ??= setTimeout(() => signalGroup('SIGKILL'), program.killGraceMs);
  };
  const abort = () => { isAborted = true; stop(); };
  const deadlineMs = command.network?.deadlineMs;
  const deadline = deadlineMs === undefined ? undefined : setTimeout(() => { isOverDeadline = true; stop(); }, deadlineMs);

  child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr = (stderr + text).slice(-STDERR_LENGTH_MAX); });
  const ended = new Promise<GitEnd>((resolve) => {
    const end = (code: number | null, killedBy: NodeJS.Signals | null) => {
      hasEnded = true;
      clearTimeout(deadline);
      clearTimeout(killing);
      command.signal.removeEventListener('abort', abort);
      resolve({ code, killedBy, isOverDeadline, isAborted, stderr: stderr.trim() });
    };
    // A git that was killed leaves git-remote-https behind, waiting for the server with our pipes in its hands.
    if (command.network) child.once('exit', () => signalGroup('SIGKILL'));
    child.once('close', end);
    // Not started at all: there is no exit to wait for. 127 is what a shell says then.
    child.once('error', (cause) => { stderr += cause.message; end(127, null); });
  });
  if (command.signal.aborted) abort();
  else command.signal.addEventListener('abort', abort, { once: true });
  return { ended, stop };
}

/**
 * `ulimit` counts in blocks of 512 bytes; a shell is on every platform, `prlimit` is not. Where the limit cannot be set
 * it is lower already. With XFSZ ignored git says "File too large"; else index-pack dies of it without a word.
 */
function bounded(program: GitProgram, args: readonly string[]): [file: string, args: string[]] {
  return ['/bin/sh', ['-c', `ulimit -f ${Math.ceil(program.fileBytesMax / 512)} 2>/dev/null; trap "" XFSZ; exec git "$@"`, 'sh', ...args]];
}

function environmentOf(program: GitProgram, protocol: string): Record<string, string> {
  return {
    PATH: program.searchPath,
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_LAZY_FETCH: '1',
    // An empty list allows nothing.
    GIT_ALLOW_PROTOCOL: protocol,
    // git 3 may choose others; the cache counts on loose files under refs/.
    GIT_DEFAULT_REF_FORMAT: 'files',
  };
}

function* linesOf(lines: Iterable<string>): Generator<string> {
  const batch: string[] = [];
  for (const line of lines) {
    batch.push(line);
    if (batch.length === 1_000) yield `${batch.splice(0).join('\n')}\n`;
  }
  if (batch.length > 0) yield `${batch.join('\n')}\n`;
}

/** Open, and without a name before a byte is in it: nothing is left behind by a crash, nothing can be found by name. */
function openNamelessFile(text: string): number {
  const path = join(SECRETS_DIRECTORY, `tekai-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  writeSync(file, text);
  return file;
}

export function configText(settings: readonly GitSetting[]): string {
  return settings
    .map(([key, value]) => {
      const [first, last] = [key.indexOf('.'), key.lastIndexOf('.')];
      const section = first === last ? key.slice(0, first) : `${key.slice(0, first)} "${escaped(key.slice(first + 1, last))}"`;
      return `[${section}]\n\t${key.slice(last + 1)} = "${escaped(value)}"\n`;
    })
    .join('');
}

function configVariables(settings: readonly GitSetting[]): Record<string, string> {
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  for (const [at, [key, value]] of settings.entries()) {
    variables[`GIT_CONFIG_KEY_${at}`] = key;
    variables[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  return variables;
}

function escaped(text: string): string {
  if (/[\0\r\n]/.test(text)) throw new TypeError('a git setting holds a line break or a NUL: look at the URLs of the source');
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

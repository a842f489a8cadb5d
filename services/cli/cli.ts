import type { Writable } from 'node:stream';
import { CommanderError } from 'commander';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import type { Input } from './ask-secret.ts';
import type { Env } from './connection.ts';
import { createContext } from './context.ts';
import { CliError, EXIT, exitCodeOf } from './exit-codes.ts';
import { OutputClosed } from './output.ts';
import { printable } from './plain-text.ts';
import { createProgram } from './program.ts';

/** What the program is given of the process it runs in. */
export interface CliOptions {
  /** With the program's own name and file in front, as the process has it. */
  readonly argv: readonly string[];
  readonly env: Env;
  readonly version: string;
  readonly stdin: Input;
  readonly stdout: Writable & { isTTY?: boolean };
  readonly stderr: Writable & { isTTY?: boolean };
  now(): Date;
  /** Resolves early when told to stop; never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Runs the named services, or all; resolves to the exit code. */
  up(names: readonly string[]): Promise<number>;
  /** Runs the demo with these arguments; resolves to the exit code. */
  demo(words: readonly string[]): Promise<number>;
  /** Folds the log anew in this process; resolves to the exit code. */
  replay(mode: ReplayMode): Promise<number>;
  /** Reads a version out of its packs in this process; resolves to the exit code. */
  verify(request: VerifyRequest): Promise<number>;
  /** Takes the facts from the database into EventStoreDB, in this process; resolves to the exit code. */
  migrateLog(asked: { readonly json: boolean }): Promise<number>;
  /** Makes Kafka's topics in this process; resolves to the exit code. */
  topics(request: TopicsRequest): Promise<number>;
  /** Copies blobs from one store to another in this process; resolves to the exit code. */
  migrateBlobs(request: MigrateBlobsRequest): Promise<number>;
  /** Shows or changes the keys of secrets in this process; resolves to the exit code. */
  secrets(request: SecretsRequest): Promise<number>;
}

/** `verify` compares what comes of it with the live read models, `switch` makes it the live ones; `at` answers from it, until told to stop. */
export type ReplayMode =
  | { readonly kind: 'verify' | 'switch'; readonly json: boolean }
  | { readonly kind: 'at'; readonly moment: string; readonly port: number; readonly json: boolean };

/** The version that a codebase's ref points to, now or `at` a commit, a position or a time. */
export interface VerifyRequest { readonly codebase: string; readonly ref: string | undefined; readonly at: string | undefined; readonly json: boolean }

/** What Kafka's topics shall have; what is undefined is as it stands, or by default. */
export interface TopicsRequest { readonly partitions: number | undefined; readonly replication: number | undefined; readonly retentionDays: number | undefined; readonly json: boolean }

/** `other` is the store, by its address or `disk`, that is copied to or from; the engine's settings name the one beside it. */
export interface MigrateBlobsRequest { readonly way: 'to' | 'from'; readonly other: string; readonly isChecked: boolean; readonly isEmptied: boolean; readonly json: boolean }

/** `keyId` is the name of a key, as `keys` shows it. */
export type SecretsRequest =
  | { readonly kind: 'keys' | 'rotate-key'; readonly json: boolean }
  | { readonly kind: 'drop-key'; readonly keyId: string; readonly json: boolean };

/** The `tekai` program. Resolves to the exit code; never rejects. */
export async function runCli(options: CliOptions): Promise<number> {
  const context = createContext(options);
  try {
    await createProgram(context).parseAsync([...options.argv]);
    return context.exitCode;
  } catch (error) {
    // Whoever read us has what they wanted.
    if (error instanceof OutputClosed) return EXIT.ok;
    // Commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    options.stderr.write(`tekai: ${messageOf(error, context.tokenFrom)}\n`);
    return exitCodeOf(error);
  }
}

function messageOf(error: unknown, tokenFrom: string | undefined): string {
  if (error instanceof CliError) return error.message;
  if (error instanceof ApiProblem) {
    const fields = error.errors.map((one) => `\n  ${printable(one.pointer)}: ${printable(one.detail)}`).join('');
    const token = error.status === 401 && tokenFrom !== undefined ? `\n  The access token was looked for in ${tokenFrom}.` : '';
    // Only then has the log a line about it.
    const request = error.status >= 500 && error.requestId !== undefined ? `\n  The request id is ${printable(error.requestId)}.` : '';
    return `${printable(error.detail)}${fields}${token}${request}`;
  }
  return error instanceof Error ? error.message : String(error);
}

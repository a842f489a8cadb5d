import { createApiClient, type ApiClient } from '#shared/api-client/api-client.ts';
import type { CliOptions } from './cli.ts';
import { connectionOf, type ConnectionFlags } from './connection.ts';
import { createOutput, type Output } from './output.ts';
import { createProgressDisplay, type ProgressDisplay } from './progress-display.ts';

/** What every command works with. */
export interface CliContext {
  readonly options: CliOptions;
  readonly output: Output;
  exitCode: number;
  /** Where the token in use was looked for; undefined before anything was asked. */
  tokenFrom: string | undefined;
  /** @throws CliError */
  connect(flags: ConnectionFlags, patience?: { readonly answerMsMax: number }): ApiClient;
  /** A remark for people, beside the answer. */
  note(text: string): void;
  /** One value as JSON on standard output. */
  printJson(value: unknown): Promise<void>;
  progress(): ProgressDisplay;
}

export function createContext(options: CliOptions): CliContext {
  const output = createOutput(options.stdout);
  const context: CliContext = {
    options,
    output,
    exitCode: 0,
    tokenFrom: undefined,
    connect(flags, patience) {
      const { url, token, tokenFrom } = connectionOf(flags, options.env);
      context.tokenFrom = tokenFrom;
      return createApiClient({ url, token, ...patience });
    },
    note: (text) => void options.stderr.write(`${text}\n`),
    printJson: (value) => output.print(`${JSON.stringify(value, null, 2)}\n`),
    progress: () => createProgressDisplay(options),
  };
  return context;
}

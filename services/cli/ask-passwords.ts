import { askSecret } from './ask-secret.ts';
import type { CliOptions } from './cli.ts';
import { openQuestions } from './connect/ask-line.ts';
import { CliError, EXIT } from './exit-codes.ts';

/** On a terminal nothing is shown; a program writes one password a line. */
export interface Passwords {
  ask(question: string): Promise<string>;
  /** Twice, where nobody sees what they type. */
  askNew(): Promise<string>;
  close(): void;
}

export function openPasswords(options: Pick<CliOptions, 'stdin' | 'stderr'>): Passwords {
  const isTerminal = options.stdin.isTTY === true;
  const lines = isTerminal ? undefined : openQuestions(options);
  const ask = (question: string) => lines?.ask(question) ?? askSecret(question, options);
  return {
    ask,
    async askNew() {
      const first = await ask('A password of your own, 12 characters or more (not shown): ');
      if (isTerminal && (await ask('Once more: ')) !== first) throw new CliError(EXIT.usage, 'The two are not the same. Nothing was changed.');
      return first;
    },
    close: () => lines?.close(),
  };
}

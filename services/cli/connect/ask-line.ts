import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import type { Input } from '../ask-secret.ts';
import { CliError, EXIT } from '../exit-codes.ts';

/** Longer answers are a paste that went wrong. */
const ANSWER_CHARS_MAX = 10_000;

/** Questions to a person, one after the other. Close it, or the program does not end. */
export interface Questions {
  /** The answer, without blanks around it. @throws CliError when the input has ended */
  ask(question: string): Promise<string>;
  close(): void;
}

export function openQuestions({ stdin, stderr }: { stdin: Input; stderr: Writable }): Questions {
  // One reader for all questions: what was typed ahead belongs to the next one.
  const reader = createInterface({ input: stdin, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  return {
    async ask(question) {
      stderr.write(question);
      const line = await lines.next();
      if (line.done === true) throw new CliError(EXIT.failed, 'No answer was given, so nothing more was done. Run the same command again: it goes on where this one stopped.');
      if (line.value.length > ANSWER_CHARS_MAX) throw new CliError(EXIT.usage, `An answer has at most ${ANSWER_CHARS_MAX} characters.`);
      return line.value.trim();
    },
    close: () => reader.close(),
  };
}

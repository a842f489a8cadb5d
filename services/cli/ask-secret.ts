import type { Readable, Writable } from 'node:stream';
import { CliError, EXIT } from './exit-codes.ts';

export type Input = Readable & { isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

/** Longer than any token; a pasted file is not one. */
const SECRET_CHARS_MAX = 1_000;

/** Asks on a terminal, without showing what is typed. @throws CliError when the answer is empty or taken back */
export async function askSecret(question: string, { stdin, stderr }: { stdin: Input; stderr: Writable }): Promise<string> {
  stderr.write(question);
  stdin.setRawMode?.(true);
  stdin.resume();
  try {
    const secret = await readLine(stdin);
    if (secret === '') throw new CliError(EXIT.usage, 'No token was given.');
    return secret;
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readLine(stdin: Input): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (settle: () => void) => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      settle();
    };
    const onEnd = () => end(() => resolve(typed.trim()));
    const onData = (chunk: Buffer | string) => {
      for (const character of chunk.toString()) {
        if (character === '\r' || character === '\n' || character === CTRL_D) { end(() => resolve(typed.trim())); return; }
        if (character === CTRL_C) { end(() => reject(new CliError(EXIT.failed, 'Nothing was done.'))); return; }
        if (character === BACKSPACE || character === '\b') typed = typed.slice(0, -1);
        else typed += character;
        if (typed.length > SECRET_CHARS_MAX) { end(() => reject(new CliError(EXIT.usage, `A token has at most ${SECRET_CHARS_MAX} characters.`))); return; }
      }
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
  });
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACE = '\u007f';

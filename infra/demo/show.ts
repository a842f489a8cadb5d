/** Prints the demo: with a little colour on a terminal, as plain text everywhere else. */
export interface Show {
  heading(text: string): void;
  line(text: string): void;
  /** A command, as it would be typed. */
  command(text: string): void;
  /** `  +   12 ms  codebase.fetched    3 objects, 1 pack` */
  step(afterMs: number, what: string, detail: string): void;
}

export function createShow(stdout: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Show {
  const hasColour = stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  const style = (code: number, text: string) => (hasColour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const line = (text: string) => void stdout.write(`${text}\n`);
  return {
    line,
    heading: (text) => line(`\n${style(BOLD, text)}`),
    command: (text) => line(style(DIM, `  $ ${text}`)),
    step: (afterMs, what, detail) => line(`  +${String(Math.round(afterMs)).padStart(5)} ms  ${style(BOLD, what.padEnd(18))}  ${detail}`.trimEnd()),
  };
}

const BOLD = 1;
const DIM = 2;

/** One word of a shell command. */
export const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`);

import type { Writable } from 'node:stream';

/** Shows on standard error how many of many are done, so that standard output stays the answer. */
export interface CountDisplay {
  moved(done: number, of: number): void;
  end(): void;
}

/** Without a terminal, a line comes this seldom: a log is read, not watched. */
const LINE_EVERY_MS = 5_000;

export function createCountDisplay({ stderr, now }: { stderr: Writable & { isTTY?: boolean }; now(): Date }, { isSilent, label }: { isSilent: boolean; label: string }): CountDisplay {
  if (isSilent) return { moved: () => undefined, end: () => undefined };
  const isTerminal = stderr.isTTY === true;
  let shown = '';
  let lastLineAt = Number.NEGATIVE_INFINITY;
  return {
    moved(done, of) {
      const line = `  ${done.toLocaleString('en')} of ${of.toLocaleString('en')} ${label}`;
      if (line === shown) return;
      const at = now().getTime();
      // The last one is always said: it is the result.
      if (!isTerminal && done < of && at - lastLineAt < LINE_EVERY_MS) return;
      [shown, lastLineAt] = [line, at];
      stderr.write(isTerminal ? `\r${line}` : `${line}\n`);
    },
    end() {
      if (isTerminal && shown !== '') stderr.write('\n');
    },
  };
}

import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import type { SyncProgress } from '#schemas/api/syncs.ts';
import { counted, shortRef } from '#shared/api-client/describe-fact.ts';
import { bytesInWords, printable } from './plain-text.ts';

/** Shows on standard error how long work is coming along, so that standard output stays the answer. */
export interface ProgressDisplay {
  moved(progress: SyncProgress): void;
  /** A line that stays. */
  said(line: string): void;
  end(): void;
}

/** Without a terminal, a line of progress comes this seldom: a log is read, not watched. */
const LINE_EVERY_MS = 5_000;
const STEPS = { fetch: 'fetching', scan: 'scanning', store: 'storing' } as const;

export function createProgressDisplay({ stderr, now }: { stderr: Writable & { isTTY?: boolean }; now(): Date }): ProgressDisplay {
  return stderr.isTTY === true ? barDisplay(stderr) : lineDisplay({ stderr, now });
}

function barDisplay(stderr: Writable): ProgressDisplay {
  let bar: SingleBar | undefined;
  let shown = '';
  const clear = () => { bar?.stop(); bar = undefined; shown = ''; };

  return {
    moved(progress) {
      const isTotalKnown = progress.objectsTotal !== null && progress.objectsTotal > 0;
      const which = `${progress.syncId} ${progress.step} ${isTotalKnown}`;
      if (shown !== which) {
        clear();
        shown = which;
        bar = new SingleBar({
          stream: stderr, clearOnComplete: true, hideCursor: false, gracefulExit: false, linewrap: false, barsize: 30, fps: 15,
          // A bar of an unknown whole would be full at once.
          format: isTotalKnown ? '  {label}  {bar}  {words}' : '  {label}  {words}', barCompleteChar: '=', barIncompleteChar: ' ',
        });
        bar.start(progress.objectsTotal ?? 0, 0, wordsOf(progress));
      }
      if (progress.objectsTotal !== null) bar?.setTotal(progress.objectsTotal);
      bar?.update(progress.objectsDone, wordsOf(progress));
    },
    said(line) { clear(); stderr.write(`${line}\n`); },
    end: clear,
  };
}

function lineDisplay({ stderr, now }: { stderr: Writable; now(): Date }): ProgressDisplay {
  let step = '';
  let lastLineAt = 0;

  return {
    moved(progress) {
      const which = `${progress.syncId} ${progress.step}`;
      const at = now().getTime();
      if (which === step && at - lastLineAt < LINE_EVERY_MS) return;
      step = which;
      lastLineAt = at;
      const { label, words } = wordsOf(progress);
      stderr.write(`  ${label}  ${words}\n`);
    },
    said: (line) => void stderr.write(`${line}\n`),
    end: () => undefined,
  };
}

function wordsOf({ ref, step, objectsDone, objectsTotal, bytesDone }: SyncProgress): { label: string; words: string } {
  const objects = objectsTotal !== null ? `${objectsDone.toLocaleString('en')} of ${counted(objectsTotal, 'object')}` : objectsDone > 0 ? counted(objectsDone, 'object') : undefined;
  return { label: `${printable(shortRef(ref))}  ${STEPS[step]}`, words: [objects, bytesInWords(bytesDone)].filter((part) => part !== undefined).join(', ') };
}

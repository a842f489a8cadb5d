import type { Logger } from '#shared/runtime/logger.ts';
import { hideCredentials, type Settings } from '#shared/runtime/settings.ts';
import { StartRefused } from '#shared/runtime/start-waits.ts';
import { openMove } from './composition-beside.ts';

export interface MigrateLogOptions {
  readonly settings: Settings;
  readonly json: boolean;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

/** How often a person hears how far it is. */
const TELL_EVERY_MS = 2_000;
const EXIT_STOPPED = 1;
const WORDS = { found: 'facts were there already', copied: 'facts copied', compared: 'facts compared in both logs' } as const;

/** Resolves to the exit code: 0 once the engine's facts are in the other log, and whatever remembers places of them says it of that one. @throws StartRefused, and when a store is away */
export async function runMigrateLog({ settings, json, logger, signal, print, note }: MigrateLogOptions): Promise<number> {
  const { eventstoreUrl } = settings;
  if (eventstoreUrl === undefined) throw new StartRefused('Set TEKAI_EVENTSTORE_URL to the EventStoreDB that is to hold the facts, as the engine will have it from then on, and run this again.');
  const [began, place] = [performance.now(), hideCredentials(eventstoreUrl)];
  let told = began;
  const tell = (text: () => string) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    note(`${text()}\n`);
  };
  const opened = await openMove({
    settings, logger, signal,
    onFact: (done, facts) => tell(() => `${facts.toLocaleString('en')} ${WORDS[done]}`),
    onAway: (why) => tell(() => `${why}; it goes on when that is back`),
    onFolded: (facts) => tell(() => `${facts.toLocaleString('en')} facts folded`),
  });
  let isMoved = false;
  try {
    const moved = await opened.move();
    isMoved = true;
    await opened.fold();
    const seconds = Number(((performance.now() - began) / 1_000).toFixed(1));
    if (json) print(`${JSON.stringify({ ...moved, seconds }, null, 2)}\n`);
    else if (moved.kind === 'standing') print(`This engine's facts are in ${place} already. Start it with the same settings.\n`);
    else print(`${moved.facts.toLocaleString('en')} facts are in ${place}, in their order, the same as in the database (digest ${moved.digest}), and this engine follows them there (${seconds} s).\nStart it with the same settings. Positions and cursors of before are answered 410. What the table log_facts still holds is not read any more.\n`);
    return 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    note(isMoved ? 'Stopped. The facts are there, and this engine follows them; the next start folds what is not folded yet.\n'
      : 'Stopped. The engine stands where it stood; what was copied stays there, and the same command goes on with it.\n');
    return EXIT_STOPPED;
  } finally {
    await opened.close();
  }
}

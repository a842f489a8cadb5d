import { once } from 'node:events';
import { positionOutside } from '#schemas/positions.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import type { ReplayMode } from './cli/cli.ts';
import { openPast } from './composition-beside.ts';

export interface PastOptions {
  readonly settings: Settings;
  readonly asked: Extract<ReplayMode, { readonly kind: 'at' }>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

/** How often a person hears how far it is. */
const TELL_EVERY_MS = 2_000;

const NOT_KNOWN = `It knows what the log knows. Not what stood beside the log then: what was set aside, what checks of sources and looks at GitLab
found, how far syncs were, the requests of deliveries. So receipts say isParked: false, and lastLook by syncs alone.
What is waited for (atLeast=) does not come: 202 at once. Commands, followers and live feeds are the engine's own.
`;

/** Resolves to the exit code once told to stop, when the past was given up again. @throws when there is no such moment, or a store is away */
export async function runPast({ settings, asked, logger, signal, print, note }: PastOptions): Promise<number> {
  let told = performance.now();
  const tell = (done: string) => (facts: number) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    note(`${facts.toLocaleString('en')} facts ${done}\n`);
  };
  const past = await openPast({ settings, logger, signal, moment: asked.moment, port: asked.port, onLooked: tell('looked at'), onFolded: tell('folded') });
  try {
    const { facts, time } = past;
    const [url, position] = [`http://127.0.0.1:${past.port}`, positionOutside(past.epoch, past.position)];
    note(NOT_KNOWN);
    if (past.isServerOurs) note('No engine runs on this state folder: its database was started for this, and no engine can start on it meanwhile.\n');
    print(asked.json ? `${JSON.stringify({ url, position, time, facts })}\n` : `${url} answers as of position ${position}: ${facts.toLocaleString('en')} facts, the last of ${time}. Ctrl-C ends it.\n`);
    if (!signal.aborted) await once(signal, 'abort');
    return 0;
  } finally {
    await past.close();
  }
}

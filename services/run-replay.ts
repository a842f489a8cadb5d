import type { Logger } from '#shared/runtime/logger.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { ReplayMode } from './cli/cli.ts';
import { openReplay, type OpenedReplay } from './composition.ts';

type Verdict = Awaited<ReturnType<OpenedReplay['verify']>>;

export interface ReplayOptions {
  readonly settings: Settings;
  readonly mode: ReplayMode;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The answer. */
  print(text: string): void;
  /** Remarks for people, beside it. */
  note(text: string): void;
}

/** How often a person hears how far it is. */
const TELL_EVERY_MS = 2_000;
const EXIT_UNEQUAL = 1;

/** Resolves to the exit code: 0 only for a model that was proved equal, or replaced. @throws when log or database are away */
export async function runReplay({ settings, mode, logger, signal, print, note }: ReplayOptions): Promise<number> {
  const began = performance.now();
  let told = began;
  const onFolded = (facts: number) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    note(`${facts.toLocaleString('en')} facts folded\n`);
  };
  const replay = await openReplay({ settings, logger, signal, onFolded });
  try {
    const epoch = await replay.epoch();
    const seconds = () => ((performance.now() - began) / 1_000).toFixed(1);
    if (mode.kind === 'switch') {
      const done = await replay.switch(signal);
      const position = positionOutside(epoch, done.position);
      print(mode.json ? `${JSON.stringify({ ...done, position }, null, 2)}\n` : `The read models were folded anew from ${done.facts.toLocaleString('en')} facts and are live, at position ${position} (${seconds()} s).\n`);
      return 0;
    }
    const verdict = await replay.verify(signal);
    const position = positionOutside(epoch, verdict.position);
    print(mode.json ? `${JSON.stringify({ ...verdict, position }, null, 2)}\n` : `${inWords(verdict, position)}(${seconds()} s)\n`);
    return verdict.kind === 'equal' ? 0 : EXIT_UNEQUAL;
  } finally {
    await replay.close();
  }
}

function inWords({ kind, facts, tables, differences, unfolded }: Verdict, position: string): string {
  if (kind === 'empty') return 'The log holds no facts: there is nothing to prove anything by.\n';
  const lines = tables.map(({ table, live, rebuilt }) =>
    `${live.digest === rebuilt.digest ? 'equal  ' : 'UNEQUAL'}  ${table.padEnd(20)} ${String(live.rows).padStart(10)} rows  ${live.digest}${live.digest === rebuilt.digest ? '' : `, by the log ${rebuilt.rows} rows  ${rebuilt.digest}`}`);
  for (const { table, key, live, rebuilt } of differences) lines.push('', `${table} ${key.join(' ')}`, `  live        ${live ?? 'no such row'}`, `  by the log  ${rebuilt ?? 'no such row'}`);
  if (unfolded > 0) lines.push('', `${unfolded} facts could not be folded: what they say is in no table. GET /v1/codebases/{id} tells of which codebase.`);
  lines.push('', kind === 'equal'
    ? `The read models are what ${facts.toLocaleString('en')} facts say, at position ${position}.`
    : `The read models are NOT what ${facts.toLocaleString('en')} facts say, at position ${position}. "tekai replay --switch" puts right ones in their place; please tell us how this came about.`);
  return `${lines.join('\n')} `;
}

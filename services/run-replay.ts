import type { Logger } from '#shared/runtime/logger.ts';
import type { Settings } from '#shared/runtime/settings.ts';
import { positionOutside } from '#schemas/positions.ts';
import type { ReplayMode } from './cli/cli.ts';
import { openBeside, type BesideEngine } from './composition-beside.ts';

type Models = Awaited<ReturnType<BesideEngine['verifyModel']>>;
type IndexProblem = Parameters<Parameters<BesideEngine['checkIndex']>[1]>[0];
interface Verdict extends Models { readonly index: Awaited<ReturnType<BesideEngine['checkIndex']>> & { readonly first: readonly IndexProblem[] } }

export interface ReplayOptions {
  readonly settings: Settings;
  readonly mode: Exclude<ReplayMode, { readonly kind: 'at' }>;
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
/** Of what is wrong with the object index; the first few tell enough. */
const PROBLEMS_SHOWN = 5;

/** Resolves to the exit code: 0 only for a model that was proved equal, or replaced. @throws when log or database are away */
export async function runReplay({ settings, mode, logger, signal, print, note }: ReplayOptions): Promise<number> {
  const began = performance.now();
  let told = began;
  const onFolded = (facts: number) => {
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    note(`${facts.toLocaleString('en')} facts folded\n`);
  };
  const beside = await openBeside({ settings, logger, signal, onFolded });
  try {
    const epoch = await beside.epoch();
    const seconds = () => ((performance.now() - began) / 1_000).toFixed(1);
    if (mode.kind === 'switch') {
      const done = await beside.switchModel();
      const position = positionOutside(epoch, done.position);
      print(mode.json ? `${JSON.stringify({ ...done, position }, null, 2)}\n` : `The read models were folded anew from ${done.facts.toLocaleString('en')} facts and are live, at position ${position} (${seconds()} s).\n`);
      return 0;
    }
    const verdict = await verify(beside);
    const position = positionOutside(epoch, verdict.position);
    print(mode.json ? `${JSON.stringify({ ...verdict, position }, null, 2)}\n` : `${inWords(verdict, position)}(${seconds()} s)\n`);
    return verdict.kind === 'equal' && verdict.index.problems === 0 ? 0 : EXIT_UNEQUAL;
  } finally {
    await beside.close();
  }
}

/** Read models against the log, and the object index against the packs, at one position. */
async function verify(beside: BesideEngine): Promise<Verdict> {
  const models = await beside.verifyModel();
  const first: IndexProblem[] = [];
  const index = await beside.checkIndex(models.position, (problem) => { if (first.length < PROBLEMS_SHOWN) first.push(problem); });
  return { ...models, index: { ...index, first } };
}

function inWords({ kind, facts, tables, differences, unfolded, index }: Verdict, position: string): string {
  if (kind === 'empty') return 'The log holds no facts: there is nothing to prove anything by.\n';
  const lines = tables.map(({ table, live, rebuilt }) =>
    `${live.digest === rebuilt.digest ? 'equal  ' : 'UNEQUAL'}  ${table.padEnd(20)} ${String(live.rows).padStart(10)} rows  ${live.digest}${live.digest === rebuilt.digest ? '' : `, by the log ${rebuilt.rows} rows  ${rebuilt.digest}`}`);
  for (const { table, key, live, rebuilt } of differences) lines.push('', `${table} ${key.join(' ')}`, `  live        ${live ?? 'no such row'}`, `  by the log  ${rebuilt ?? 'no such row'}`);
  if (unfolded > 0) lines.push('', `${unfolded} facts could not be folded: what they say is in no table. GET /v1/codebases/{id} tells of which codebase.`);
  lines.push(`${index.problems === 0 ? 'equal  ' : 'UNEQUAL'}  ${'object index'.padEnd(20)} ${String(index.objects).padStart(10)} objects in ${index.packs} packs`);
  for (const { pack, object, detail } of index.first) lines.push('', `object index: pack ${pack}${object === null ? '' : `, object ${object}`}`, `  ${detail}`);
  if (index.problems > index.first.length) lines.push('', `and ${index.problems - index.first.length} more of the object index`);
  lines.push('', kind === 'equal'
    ? `The read models are what ${facts.toLocaleString('en')} facts say, at position ${position}.`
    : `The read models are NOT what ${facts.toLocaleString('en')} facts say, at position ${position}. "tekai replay --switch" puts right ones in their place; please tell us how this came about.`);
  return `${lines.join('\n')} `;
}

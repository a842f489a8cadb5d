import type { Command } from 'commander';
import type { ChangeAnswer, ChangesAnswer } from '#schemas/api/changes.ts';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { printable } from '../plain-text.ts';

interface DiffFlags { readonly ref?: string; readonly fromRef?: string; readonly fromCodebase?: string; readonly renames: boolean; readonly summary?: boolean }

const CHANGES_A_PAGE = 1_000;
const LETTERS = { added: 'A', removed: 'D', modified: 'M', modeChanged: 'T', renamed: 'R' } as const satisfies Record<ChangeAnswer['status'], string>;

export function addDiffCommand(program: Command, context: CliContext): void {
  const diff = program.command('diff').argument('<codebase>', 'its id, or the end of its GitLab path')
    .argument('<from>', 'a commit, a position, a time or a ref').argument('[to]', 'likewise (default: the ref as it is now)')
    .description('what differs between two versions: A added, D removed, M modified, T another mode, R renamed')
    .option('--ref <ref>', 'whose versions positions and times mean (default: the default branch)')
    .option('--from-ref <ref>', 'the same for <from> alone')
    .option('--from-codebase <codebase>', 'take <from> from another codebase, or a fork')
    .option('--no-renames', 'a renamed file is one removed and one added')
    .option('--summary', 'only how many of each');
  withCommonFlags(diff).action(async (named: string, from: string, to: string | undefined, flags: DiffFlags) => showDiff(context, diff, { named, from, to, flags }));
}

async function showDiff(context: CliContext, command: Command, { named, from, to, flags }: { named: string; from: string; to: string | undefined; flags: DiffFlags }): Promise<void> {
  const { json, ...connection } = flagsOf(command);
  const client = context.connect(connection);
  const { id } = await findCodebase(client, named);
  const fromCodebase = flags.fromCodebase === undefined ? undefined : (await findCodebase(client, flags.fromCodebase)).id;
  const which = { from, to, ref: flags.ref, fromRef: flags.fromRef, fromCodebase, renames: flags.renames };
  if (flags.summary === true) {
    const summary = await client.changesSummary(id, which);
    if (json === true) return context.printJson(summary);
    const counts = Object.entries(summary.counts ?? {}).map(([status, count]) => `${LETTERS[status as ChangeAnswer['status']]} ${count.toLocaleString('en')}`);
    await context.output.print(`${counts.join('  ')}\n`);
    return tellSides(context, summary);
  }
  let first: ChangesAnswer | undefined;
  const all: ChangeAnswer[] = [];
  for await (const page of client.changes(id, { ...which, limit: CHANGES_A_PAGE })) {
    first ??= page;
    if (json === true) all.push(...page.changes);
    else if (page.changes.length > 0) await context.output.print(page.changes.map(lineOf).join(''));
  }
  if (first === undefined) return;
  if (json === true) return context.printJson({ from: first.from, to: first.to, areRenamesFound: first.areRenamesFound, changes: all });
  if (flags.renames && !first.areRenamesFound) context.note('Too much changed to look for renames: they are shown as removed and added.');
  tellSides(context, first);
}

function lineOf({ status, path, renamedFrom }: ChangeAnswer): string {
  return `${LETTERS[status]}  ${renamedFrom === undefined ? '' : `${printable(renamedFrom)} -> `}${printable(path)}\n`;
}

function tellSides(context: CliContext, { from, to }: ChangesAnswer): void {
  const [one, other] = [from, to].map(({ ref, commit }) => `${shortRef(ref)} at ${commit === null ? 'nothing' : shortId(commit)}`);
  context.note(`${one} -> ${other}`);
}

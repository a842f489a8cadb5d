import type { Command } from 'commander';
import type { OccurrenceAnswer, OccurrencesPage } from '#schemas/api/occurrences.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { table } from '../plain-text.ts';

interface WhereFlags { readonly codebase?: string; readonly ref?: string; readonly at?: string }

export function addWhereCommand(program: Command, context: CliContext): void {
  const where = program.command('where').argument('<blob>', 'a blob id, or <codebase>:<path> for the file that stands there')
    .description('where the very same bytes are and were: codebase, ref, path, from when to when')
    .option('--codebase <codebase>', 'look only there')
    .option('--ref <ref>', 'of <codebase>:<path>: a branch, tag or full ref (default: the default branch)')
    .option('--at <moment>', 'of <codebase>:<path>: as it was at a commit, a position or a time');
  withCommonFlags(where).action(async (given: string, flags: WhereFlags) => {
    const { json, ...connection } = flagsOf(where);
    const client = context.connect(connection);
    const blob = await blobOf(client, given, flags);
    const codebase = flags.codebase === undefined ? undefined : (await findCodebase(client, flags.codebase)).id;
    const pages: OccurrencesPage[] = [];
    for await (const page of client.occurrences(blob, { codebase })) pages.push(page);
    const [occurrences, unfinished] = [pages.flatMap((page) => page.occurrences), pages.flatMap((page) => page.unfinished)];
    if (json === true) return context.printJson({ object: blob, occurrences, unfinished });
    await tell(context, client, { blob, occurrences });
    if (unfinished.length > 0) context.note(`Not the whole truth: the history of ${unfinished.length} refs is too long for one answer. --json tells which.`);
  });
}

async function blobOf(client: ApiClient, given: string, flags: WhereFlags): Promise<string> {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(given)) return given;
  const colon = given.indexOf(':');
  if (colon <= 0 || colon === given.length - 1) throw new CliError(EXIT.usage, `"${given}" is neither a blob id (40 or 64 hex digits) nor <codebase>:<path>. "tekai ls --json" shows ids.`);
  const { id } = await findCodebase(client, given.slice(0, colon));
  return client.blobAt(id, given.slice(colon + 1), { ref: flags.ref, at: flags.at });
}

async function tell(context: CliContext, client: ApiClient, { blob, occurrences }: { blob: string; occurrences: readonly OccurrenceAnswer[] }): Promise<void> {
  if (occurrences.length === 0) return context.note(`Blob ${blob} is in no version that is stored here.`);
  const names = new Map<string, string>();
  for await (const { id, path } of client.codebases()) if (path !== null) names.set(id, path);
  const moment = (one: OccurrenceAnswer['from']) => `${one.commit === null ? 'nothing' : shortId(one.commit)}, ${one.storedAt}`;
  await context.output.print(table(['CODEBASE', 'REF', 'PATH', 'FROM', 'TO'], occurrences.map(({ codebase, ref, path, from, to }) =>
    [names.get(codebase) ?? codebase, shortRef(ref), path, moment(from), to === null ? 'still there' : moment(to)])));
}

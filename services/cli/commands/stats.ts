import type { Command } from 'commander';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { bytesInWords, table } from '../plain-text.ts';
import { pathOf, versionFlags, type ContentFlags } from './content.ts';

export function addStatsCommand(program: Command, context: CliContext): void {
  const stats = versionFlags(program.command('stats').argument('<codebase>', 'its id, or the end of its GitLab path').argument('[path]', 'a folder', '')
    .description('files, bytes and lines by language, of everything or a folder'));
  withCommonFlags(stats).action(async (named: string, path: string, flags: ContentFlags) => {
    const { json, ...connection } = flagsOf(stats);
    const client = context.connect(connection);
    const { id } = await findCodebase(client, named);
    const answer = await client.stats(id, pathOf(path, flags), { ref: flags.ref, at: flags.at });
    if (json === true) return context.printJson(answer);
    const number = (count: number | null) => (count === null ? '?' : count.toLocaleString('en'));
    await context.output.print(table(['LANGUAGE', 'FILES', 'SIZE', 'LINES'], [
      ...answer.languages.map(({ name, files, bytes, lines }) => [name, number(files), bytesInWords(bytes), number(lines)]),
      ['everything', number(answer.files), bytesInWords(answer.bytes), ''],
    ]));
    context.note(`${shortRef(answer.receipt.ref)} at ${answer.receipt.commit === null ? 'nothing: the repository is empty' : shortId(answer.receipt.commit)}`);
  });
}

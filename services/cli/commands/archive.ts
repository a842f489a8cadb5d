import { open, rename, rm } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { bytesInWords } from '../plain-text.ts';
import { pathOf, versionFlags, type ContentFlags } from './content.ts';

interface ArchiveFlags extends ContentFlags { readonly output?: string; readonly format?: Format }

const FORMATS = ['tar', 'tar.gz'] as const;
type Format = (typeof FORMATS)[number];

export function addArchiveCommand(program: Command, context: CliContext): void {
  const archive = versionFlags(program.command('archive').argument('<codebase>', 'its id, or the end of its GitLab path').argument('[path]', 'a folder or file of it', '')
    .description('everything, or a folder, as a tar: the same bytes each time'))
    .option('-o, --output <file>', 'write it there, not to standard output')
    .addOption(new Option('--format <format>', 'default: by the name of the file, else tar').choices(FORMATS));
  withCommonFlags(archive).action(async (named: string, path: string, flags: ArchiveFlags) => {
    const { json, ...connection } = flagsOf(archive);
    const format = formatOf(flags);
    if (flags.output === undefined && context.output.isTerminal) throw new CliError(EXIT.usage, 'A tar is nothing to look at. Write it to a file: tekai archive <codebase> -o app.tar');
    const client = context.connect(connection);
    const { id } = await findCodebase(client, named);
    const { commit, ref, content } = await client.archive(id, { path: pathOf(path, flags), ref: flags.ref, at: flags.at, format, signal: context.output.closed });
    const bytes = await whole(content, flags.output === undefined ? (piece) => context.output.print(piece) : undefined, flags.output);
    if (json === true && flags.output !== undefined) return context.printJson({ ref, commit, bytes, format, file: flags.output });
    context.note(`${shortRef(ref)} at ${commit === 'none' ? 'nothing: the repository is empty' : shortId(commit)}, ${bytesInWords(bytes)}`);
  });
}

function formatOf({ format, output }: ArchiveFlags): Format {
  return format ?? (/\.(tar\.gz|tgz)$/i.test(output ?? '') ? 'tar.gz' : 'tar');
}

/** Under its name only when it is whole: what was cut must not look like an archive. Returns its length. */
async function whole(content: AsyncIterable<Uint8Array>, print: ((piece: Uint8Array) => Promise<void>) | undefined, file: string | undefined): Promise<number> {
  const part = `${file ?? ''}.part`;
  const handle = file === undefined ? undefined : await open(part, 'w');
  let bytes = 0;
  try {
    for await (const piece of content) {
      await (handle === undefined ? print?.(piece) : handle.writeFile(piece));
      bytes += piece.length;
    }
    await handle?.close();
    if (file !== undefined) await rename(part, file);
    return bytes;
  } catch (error) {
    await handle?.close();
    if (file !== undefined) await rm(part, { force: true });
    if ((error as Error).name === 'OutputClosed' || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new CliError(EXIT.failed, `The archive broke off after ${bytesInWords(bytes)}: the connection was cut, or the engine found stored bytes damaged and would not send them. ${file === undefined ? 'What was printed is not whole.' : 'Nothing was written.'} The engine's log tells more.`);
  }
}

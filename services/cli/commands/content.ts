import type { Command } from 'commander';
import type { TreeEntryAnswer, TreePage } from '#schemas/api/content.ts';
import type { PathGiven, WhichVersion } from '#shared/api-client/api-client.ts';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { bytesInWords, printable, table } from '../plain-text.ts';

export interface ContentFlags extends WhichVersion { readonly pathHex?: string }

/** What the engine waits when nothing is said: a push takes a second or two. */
const WAIT_DEFAULT = '5s';

/** Shown at once; the pages of a huge folder are printed as they come. */
const ENDINGS = { folder: '/', executable: '*', symlink: '@', submodule: ' (submodule)', file: '' } as const;

export function addContentCommands(program: Command, context: CliContext): void {
  const list = versionFlags(program.command('ls').argument('<codebase>', 'its id, or the end of its GitLab path').argument('[path]', 'a folder', '')
    .description('what is in a folder'));
  withCommonFlags(list).action(async (named: string, path: string, flags: ContentFlags) => listFolder(context, list, { named, path: pathOf(path, flags), flags }));

  const cat = versionFlags(program.command('cat').argument('<codebase>', 'its id, or the end of its GitLab path').argument('[path]', 'a file')
    .description('a file\'s bytes, as git holds them'));
  withCommonFlags(cat).action(async (named: string, path: string | undefined, flags: ContentFlags) => {
    if (path === undefined && flags.pathHex === undefined) throw new CliError(EXIT.usage, 'Which file? tekai cat <codebase> <path>. "tekai ls <codebase>" lists what there is.');
    await copyFile(context, cat, { named, path: pathOf(path ?? '', flags), flags });
  });
}

export function versionFlags(command: Command): Command {
  return command
    .option('--ref <ref>', 'a branch, tag or full ref (default: the default branch)')
    .option('--at <moment>', 'as it was at a commit, a position or a time such as 2026-01-31T12:00:00Z')
    .option('--observed-at <time>', 'as GitLab had it then, as far as it was looked at')
    .option('--at-least <what>', 'first wait until this is here: a commit, a position, or the cause of a command')
    .option('--wait <time>', 'how long, such as 500ms or 30s', WAIT_DEFAULT)
    .option('--path-hex <digits>', 'the path as the hex digits of its bytes, for names that are not UTF-8');
}

/** How long to wait is said only where there is something to wait for. */
function whichOf({ ref, at, observedAt, atLeast, wait }: ContentFlags): WhichVersion {
  return { ref, at, observedAt, atLeast, wait: atLeast === undefined ? undefined : wait };
}

/** `./src/` is `src`: shells complete paths so. */
export function pathOf(path: string, { pathHex }: ContentFlags): PathGiven {
  // What the shell gave was no UTF-8: its bytes were lost before we saw them.
  if (pathHex === undefined && path.includes('\ufffd')) throw new CliError(EXIT.usage, `The path "${printable(path)}" is not UTF-8. Give its bytes with --path-hex; "tekai ls --json" shows such names in nameHex.`);
  if (pathHex === undefined) return path.split('/').filter((segment) => segment !== '' && segment !== '.').join('/');
  if (!/^(?:[0-9a-f]{2})+$/i.test(pathHex)) throw new CliError(EXIT.usage, `--path-hex ${pathHex} is not pairs of hex digits. "tekai ls --json" shows such names in nameHex.`);
  return { hex: pathHex };
}

interface Asked { readonly named: string; readonly path: PathGiven; readonly flags: ContentFlags }

async function listFolder(context: CliContext, command: Command, { named, path, flags }: Asked): Promise<void> {
  const { json, ...connection } = flagsOf(command);
  const client = context.connect(connection);
  const { id } = await findCodebase(client, named);
  const pages: TreePage[] = [];
  for await (const page of client.tree(id, path, whichOf(flags))) pages.push(page);
  const entries = pages.flatMap((page) => page.entries);
  const [first] = pages;
  if (first === undefined) return;
  if (json === true) return context.printJson({ receipt: first.receipt, path: first.path, tree: first.tree, entries });
  await context.output.print(table(['NAME', 'SIZE', 'FILES', 'LANGUAGE', 'LINES', 'ID'], entries.map(rowOf)));
  const { ref, commit, isHintWaiting } = first.receipt;
  context.note(`${shortRef(ref)} at ${commit === null ? 'nothing: the repository is empty' : shortId(commit)}${isHintWaiting ? '; something newer is on its way' : ''}`);
}

function rowOf(entry: TreeEntryAnswer): string[] {
  return [
    `${entry.name}${ENDINGS[entry.type]}`,
    entry.bytes === undefined ? '-' : bytesInWords(entry.bytes),
    entry.files === undefined ? '' : entry.files.toLocaleString('en'),
    entry.isLfsPointer === true ? 'LFS pointer' : entry.isBinary === true ? 'binary' : entry.language ?? '',
    entry.lines === undefined || entry.lines === null ? '' : entry.lines.toLocaleString('en'),
    shortId(entry.id),
  ];
}

async function copyFile(context: CliContext, command: Command, { named, path, flags }: Asked): Promise<void> {
  const { json, ...connection } = flagsOf(command);
  const client = context.connect(connection);
  const { id } = await findCodebase(client, named);
  const file = await client.file(id, path, { ...whichOf(flags), signal: context.output.closed });
  if (json === true) {
    const pieces: Uint8Array[] = [];
    for await (const piece of file.content) pieces.push(piece);
    const { commit, ref, tree, type, mode, bytes } = file;
    return context.printJson({ ref, commit, tree, type, mode, bytes, contentBase64: Buffer.concat(pieces).toString('base64') });
  }
  let copied = 0;
  try {
    for await (const piece of file.content) { await context.output.print(piece); copied += piece.length; }
  } catch (error) {
    if (context.output.closed.aborted) throw error;
    throw new CliError(EXIT.failed, `The file broke off after ${bytesInWords(copied)} of ${bytesInWords(file.bytes)}: the connection was cut, or the engine found the stored bytes damaged and would not send them. What was printed is not the whole file; the engine's log tells more.`);
  }
}

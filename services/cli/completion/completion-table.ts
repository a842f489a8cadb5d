import type { Command, Option } from 'commander';

/** Something that may stand at a place: `command|sync`, `option|--ref|word`, `argument|0|codebase`. */
export type Row = string;

/** What comes behind an option, or as an argument, where a shell can help: names that the engine knows, files, or one of a few words. */
const KINDS: Readonly<Record<string, string>> = { codebase: 'codebase', source: 'source', file: 'file' };

/** Everything that `program` takes, a line each: `<path of the command>|<row>`. Read from commander's tree, so that it cannot lag behind. */
export function completionTable(program: Command): readonly string[] {
  return rowsOf(program, '').map(({ at, row }) => `${at}|${row}`);
}

function rowsOf(command: Command, at: string): { at: string; row: Row }[] {
  const help = command.createHelp();
  const own = [
    ...help.visibleCommands(command).map((one) => `command|${one.name()}`),
    ...help.visibleOptions(command).flatMap(rowsOfOption),
    ...command.registeredArguments.map(({ variadic, argChoices }, index, { [index]: argument }) => `argument|${variadic ? '*' : index}|${kindOf(command, argument?.name() ?? '', argChoices)}`),
  ].map((row) => ({ at, row }));
  return [...own, ...command.commands.flatMap((one) => rowsOf(one, at === '' ? one.name() : `${at} ${one.name()}`))];
}

function rowsOfOption({ short, long, required, optional, flags, argChoices }: Option): Row[] {
  const value = required || optional ? KINDS[/[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? ''] ?? 'word' : '';
  return [short, long].flatMap((name) => (name === undefined ? [] : [`option|${name}|${argChoices === undefined ? value : argChoices.join(' ')}`]));
}

/** `<project>` is one of ours below "tekai project", and a path at GitLab elsewhere. */
function kindOf(command: Command, name: string, choices: readonly string[] | undefined): string {
  if (choices !== undefined) return choices.join(' ');
  if (name === 'project' && command.parent?.name() === 'project') return 'project';
  return KINDS[name] ?? 'word';
}

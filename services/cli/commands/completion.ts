import { Argument, type Command } from 'commander';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { completionScript, SHELLS, type Shell } from '../completion/completion-script.ts';
import { completionTable } from '../completion/completion-table.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../plain-text.ts';

/** Somebody waits with a finger on the Tab key. */
const NAMES_MS_MAX = 1_000;
/** More than these nobody reads on a screen; a letter more narrows them. */
const NAMES_MAX = 2_000;

const HELP = `
bash:  echo 'source <(tekai completion bash)' >> ~/.bashrc
zsh:   echo 'source <(tekai completion zsh)' >> ~/.zshrc      behind compinit
Names of codebases, sources and projects are asked from the engine, as far as it answers within a second.
`;

const NAMES = {
  codebase: async (client: ApiClient) => ends(await all(client.codebases())),
  source: async (client: ApiClient) => (await client.sources()).map(({ name }) => name),
  project: async (client: ApiClient) => (await all(client.projects())).map(({ name }) => name),
};

export function addCompletionCommands(program: Command, context: CliContext): void {
  const completion = program.command('completion').description('have your shell complete commands, options and names').addHelpText('after', HELP);
  for (const shell of SHELLS) {
    completion.command(shell).description(`for ${shell}`).action(async () => context.output.print(completionScript(shell satisfies Shell, completionTable(program))));
  }
  const names = completion.command('names', { hidden: true }).addArgument(new Argument('<kind>').choices(Object.keys(NAMES)));
  withCommonFlags(names).action(async (kind: keyof typeof NAMES) => {
    const { json: _json, ...connection } = flagsOf(names);
    // Quiet whatever is wrong: a complaint would land in the middle of the line that is being typed.
    const found = await (async () => NAMES[kind](context.connect(connection, { answerMsMax: NAMES_MS_MAX })))().catch(() => []);
    await context.output.print(found.slice(0, NAMES_MAX).map((name) => `${printable(name)}\n`).join(''));
  });
}

/** Paths, and the last parts of those that no other has: both are understood. */
function ends(codebases: readonly { readonly path: string | null }[]): string[] {
  const paths = codebases.flatMap(({ path }) => (path === null ? [] : [path]));
  const last = paths.map((path) => path.slice(path.lastIndexOf('/') + 1));
  return [...paths, ...last.filter((name, index) => last.indexOf(name) === index && last.lastIndexOf(name) === index && !paths.includes(name))];
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of pages) found.push(one);
  return found;
}

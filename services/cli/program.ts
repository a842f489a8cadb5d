import { Command } from 'commander';
import { withCommonFlags } from './connection-flags.ts';
import type { CliContext } from './context.ts';
import { addCompletionCommands } from './commands/completion.ts';
import { addCodebaseCommands } from './commands/codebase.ts';
import { addCommandsBeside } from './commands/beside-the-engine.ts';
import { addAccessCommand } from './commands/access.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addArchiveCommand } from './commands/archive.ts';
import { addCodebaseLifecycle } from './commands/codebase-lifecycle.ts';
import { addConnectCommand } from './commands/connect.ts';
import { addContentCommands } from './commands/content.ts';
import { addDiffCommand } from './commands/diff.ts';
import { addFollowCommands } from './commands/follow.ts';
import { addMemberCommands } from './commands/member.ts';
import { addParkedCommands } from './commands/parked.ts';
import { addProjectCommands } from './commands/project.ts';
import { addSignInCommands } from './commands/sign-in.ts';
import { addSourceCommands } from './commands/source.ts';
import { addSourceSignIn } from './commands/source-sign-in.ts';
import { addSourceLifecycle } from './commands/source-lifecycle.ts';
import { addStatsCommand } from './commands/stats.ts';
import { addStatusCommand } from './commands/status.ts';
import { addSyncCommand } from './commands/sync.ts';
import { addTailCommand } from './commands/tail.ts';
import { addHappeningCommands } from './commands/happenings.ts';
import { addTokenCommands } from './commands/token.ts';
import { addUserCommands } from './commands/user.ts';
import { addVersionCommands } from './commands/versions.ts';
import { addWhereCommand } from './commands/where.ts';

const EXAMPLES = `
Examples:
  tekai up                                       start the engine here, with everything it needs
  tekai connect https://gitlab.example.com       make a GitLab known, choose groups, wait until they can be read
  tekai codebase add gitlab.example.com team/app follow one more project of it
  tekai ls app src                               what is in a folder, now
  tekai cat app README.md --at 2026-01-31T12:00:00Z
  tekai diff app main feature                    what differs between two branches, commits or times
  tekai tail app                                 what happens, as it happens
  tekai follow my-index --codebase app           what changes, file by file; goes on where it ended

Where the engine is: --url, else TEKAI_URL, else this machine's port TEKAI_PORT (8080).
Who you are: --token-file, else TEKAI_TOKEN or TEKAI_TOKEN_FILE, else who signed in by "tekai login", else the file access-token in TEKAI_KEYS_DIR, else in TEKAI_STATE_DIR (.tekai).
Exit codes: 0 done, 1 failed, 64 usage, 69 engine not reachable, 77 not authenticated, 78 configuration.
`;

export function createProgram(context: CliContext): Command {
  const { options } = context;
  const program = new Command('tekai')
    .description('Keeps codebases from GitLab in sync, and answers what is in them.')
    .version(options.version, '-V, --version')
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => void options.stdout.write(text), writeErr: (text) => void options.stderr.write(text) })
    .showHelpAfterError('("tekai help <command>" explains it)')
    .exitOverride()
    .addHelpText('after', EXAMPLES);
  withCommonFlags(program);

  program.command('up').argument('[services...]', 'all of them, unless named')
    .description('run the engine in this terminal, until Ctrl-C')
    .action(async (services: string[]) => { context.exitCode = await options.up(services); });
  program.command('demo').argument('[words...]').allowUnknownOption()
    .option('--once', 'end after the show').option('--repo <path>', 'show this repository')
    .description('see it work: a simulated GitLab, an engine, and a real push')
    .action(async (_words: string[], _flags: object, command: Command) => { context.exitCode = await options.demo(wordsBehind(command, options.argv)); });
  addCommandsBeside(program, context);
  addConnectCommand(program, context);
  const source = addSourceCommands(program, context);
  addSourceLifecycle(source, context);
  addSourceSignIn(source, context);
  addCodebaseLifecycle(addCodebaseCommands(program, context), context);
  addProjectCommands(program, context);
  addSyncCommand(program, context);
  addStatusCommand(program, context);
  addContentCommands(program, context);
  addDiffCommand(program, context);
  addStatsCommand(program, context);
  addArchiveCommand(program, context);
  addWhereCommand(program, context);
  addTailCommand(program, context);
  addFollowCommands(program, context);
  addParkedCommands(program, context);
  addVersionCommands(program, context);
  addHappeningCommands(program, context);
  addSignInCommands(program, context);
  addUserCommands(program, context);
  addAccessCommand(program, context);
  addAuditCommand(program, context);
  addMemberCommands(program, context);
  addTokenCommands(program, context);
  addCompletionCommands(program, context);
  return program;
}

/** The demo reads its own arguments. */
function wordsBehind(command: Command, argv: readonly string[]): readonly string[] {
  return argv.slice(argv.indexOf(command.name()) + 1);
}

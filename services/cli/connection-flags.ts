import type { Command } from 'commander';
import type { ConnectionFlags } from './connection.ts';

/** Flags of every command that asks the engine. */
export interface CommonFlags extends ConnectionFlags { readonly json?: boolean }

/** On the command itself and before it: `tekai --json status` is `tekai status --json`. */
export function withCommonFlags(command: Command, { hasOwnTokenFile = false } = {}): Command {
  command.option('--url <url>', 'where the engine is');
  if (!hasOwnTokenFile) command.option('--token-file <file>', 'a file that holds the access token');
  return command.option('--json', 'for programs');
}

/** What was said before the command, overruled by what was said behind it. */
export function flagsOf(command: Command, { hasOwnTokenFile = false } = {}): CommonFlags {
  const [before, behind] = [rootOf(command).opts<CommonFlags>(), command.opts<CommonFlags>()];
  const tokenFile = hasOwnTokenFile ? before.tokenFile : behind.tokenFile ?? before.tokenFile;
  const url = behind.url ?? before.url;
  return { json: behind.json ?? before.json ?? false, ...(url === undefined ? {} : { url }), ...(tokenFile === undefined ? {} : { tokenFile }) };
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

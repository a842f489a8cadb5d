import type { Command } from 'commander';
import type { SignInSettings } from '#schemas/api/identity.ts';
import { secretFromFile } from '../connection.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findSource } from '../find-named.ts';
import { printable } from '../plain-text.ts';

interface SignInFlags { readonly clientId?: string; readonly clientSecretFile?: string; readonly unknownUsers?: string; readonly ownAccess?: boolean; readonly off?: boolean }

const HELP = `
Make an application in GitLab (Admin, or a group's Settings → Applications): confidential, the scope "openid" and no other (with --own-access
"read_api" too), and the redirect URI that this command prints. Then give its id, and a file that holds its secret. Without options it says how it is.
`;

/** Beside `add` and `ls`. @param source the command that they are under */
export function addSourceSignIn(source: Command, context: CliContext): void {
  const signIn = source.command('sign-in').argument('<source>', 'its name or id').description('let people sign in here by that GitLab; or let them no longer')
    .option('--client-id <id>', 'of the application in GitLab')
    .option('--client-secret-file <file>', 'a file that holds its secret; the one that is known, unless given')
    .option('--unknown-users <what>', 'whom nobody here is: "refuse" (unless given), or "create" a user, never an admin')
    .option('--own-access', 'ask people, too, to let their own token say what they read there; not, unless given')
    .option('--off', 'nobody signs in by it any more, and the secret is forgotten')
    .addHelpText('after', HELP);
  withCommonFlags(signIn).action(async (named: string, { clientId, clientSecretFile, unknownUsers, ownAccess, off }: SignInFlags) => {
    const { json, ...connection } = flagsOf(signIn);
    const client = context.connect(connection);
    if (clientId === undefined && (clientSecretFile ?? unknownUsers ?? ownAccess) !== undefined) throw new CliError(EXIT.usage, 'Of which application? --client-id takes its id in GitLab.');
    const { id, name } = await findSource(client, named);
    if (off === true) {
      await client.takeSignInBack(id);
      if (json === true) return context.printJson({ sourceId: id, isOn: false });
      return context.output.print(`Nobody signs in by ${printable(name)} any more. Who signed in by it stays so, until their sign-in ends.\n`);
    }
    const settings = clientId === undefined ? await client.signInSettings(id)
      : await client.decideSignIn(id, { clientId, ...(clientSecretFile === undefined ? {} : { clientSecret: secretFromFile(clientSecretFile) }), ...(unknownUsers === undefined ? {} : { unknownUsers: unknownUsersOf(unknownUsers) }), ...(ownAccess === undefined ? {} : { ownAccess }) });
    if (json === true) return context.printJson(settings);
    await context.output.print(`People sign in by ${printable(name)}: tekai login --gitlab ${printable(name)}\nGitLab must know this redirect URI, exactly so: ${printable(settings.redirectUri)}\nWhom nobody here is: ${settings.unknownUsers === 'create' ? 'becomes a user' : 'is refused'}.\n${ownAccessOf(settings)}`);
  });
}

function ownAccessOf({ ownAccess, grants }: SignInSettings): string {
  if (!ownAccess) return 'What people read is asked with the token of the source alone.\n';
  return `What active people read is asked with their own tokens, too: of ${grants.good}${grants.over === 0 ? '' : `, and of ${grants.over} more once they sign in again`}.\n`;
}

/** @throws CliError */
function unknownUsersOf(given: string): SignInSettings['unknownUsers'] {
  if (given === 'refuse' || given === 'create') return given;
  throw new CliError(EXIT.usage, '--unknown-users takes "refuse" or "create".');
}

import type { Command } from 'commander';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import { connectGitlab, type ConnectFlags } from '../connect/connect-gitlab.ts';
import type { CliContext } from '../context.ts';

const HELP = `
GitLab's token: --token-file, else TEKAI_GITLAB_TOKEN or TEKAI_GITLAB_TOKEN_FILE, else asked for. Scopes: api and read_repository of a Maintainer
make webhooks; read_api and read_repository of a Reporter are enough to read, and GitLab is then asked for new pushes.
The engine's own access token, if it is in a file, is named before the command: tekai --token-file <file> connect …

Run it again at any time: what is known is not asked for again, what is followed already stays as it is.
Another --token-file, --ca, --client-cert, --proxy or --allow-addresses changes the GitLab that is known, once it takes them.

  tekai connect https://gitlab.example.com                                     asks for the token, then which groups
  tekai connect https://gitlab.example.com --group shop --exclude '*/archive/*' --yes
  tekai connect https://gitlab.internal --ca ca.pem --proxy http://proxy:3128 --all --yes --json
`;

export function addConnectCommand(program: Command, context: CliContext): void {
  const connect = program.command('connect').argument('<gitlab-url>', 'the address of a GitLab, as in the browser')
    .description('make a GitLab known, choose what to follow, and wait until it can be read')
    .option('--token-file <file>', 'a file that holds GitLab\'s token')
    .option('--name <name>', 'what to call this GitLab; its host unless given')
    .option('--ca <file>', 'the certificate authority that GitLab is signed by, as PEM')
    .option('--client-cert <file>', 'the certificate that GitLab or its proxy asks for, as PEM')
    .option('--client-key <file>', 'its private key, as PEM')
    .option('--proxy <url>', 'an HTTP proxy on the way to GitLab: http://user:password@proxy:3128')
    .option('--allow-addresses <range...>', 'private addresses where GitLab, or its proxy, may be: 10.0.0.0/8')
    .option('--group <path>', 'follow all projects of this group and below; may be repeated', collect, [])
    .option('--project <path>', 'follow this project; may be repeated', collect, [])
    .option('--all', 'follow all projects that the token\'s user is a member of')
    .option('--exclude <pattern>', 'but not those whose path matches; * stands for anything, / too; may be repeated', collect, [])
    .option('--include-archived', 'archived projects too')
    .option('--yes', 'do not ask whether to follow what was found')
    .option('--no-wait', 'do not wait for the first syncs')
    .addHelpText('after', HELP);
  withCommonFlags(connect, { hasOwnTokenFile: true }).action(async (url: string, flags: ConnectFlags) => {
    const { json, ...connection } = flagsOf(connect, { hasOwnTokenFile: true });
    await connectGitlab(context, { client: context.connect(connection), url, flags, isJson: json === true });
  });
}

const collect = (given: string, before: string[]) => [...before, given];

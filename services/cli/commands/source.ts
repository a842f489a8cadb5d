import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { askSecret } from '../ask-secret.ts';
import { secretFromEnv, secretFromFile } from '../connection.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { addSourceCheckCommands } from './source-check.ts';
import { ageInWords, table } from '../plain-text.ts';

interface AddFlags { readonly name?: string; readonly tokenFile?: string; readonly ca?: string; readonly clientCert?: string; readonly clientKey?: string; readonly proxy?: string; readonly allowAddresses?: string[]; readonly acceptUnreachable?: boolean }

const TOKEN_HELP = `
GitLab's token: --token-file, else TEKAI_GITLAB_TOKEN or TEKAI_GITLAB_TOKEN_FILE, else asked for. It takes the scopes api and read_repository
of a Maintainer (to make webhooks); with read_api only, make the webhook by hand. It never leaves the engine again.
The engine's own access token, if it is in a file, is named before the command: tekai --token-file <file> source add …
`;

export function addSourceCommands(program: Command, context: CliContext): Command {
  const source = program.command('source').description('the GitLab instances that are known');

  const add = source.command('add').argument('<url>', 'the address of a GitLab, as in the browser')
    .description('make a GitLab known')
    .option('--name <name>', 'what to call it; its host unless given')
    .option('--token-file <file>', 'a file that holds GitLab\'s token')
    .option('--ca <file>', 'the certificate authority that it is signed by, as PEM')
    .option('--client-cert <file>', 'a certificate to show to it, as PEM')
    .option('--client-key <file>', 'the key of that certificate, without a passphrase')
    .option('--proxy <url>', 'an HTTP proxy on the way to it')
    .option('--allow-addresses <range...>', 'private addresses where it, or its proxy, may be: 10.0.0.0/8')
    .option('--accept-unreachable', 'make it known also when it cannot be reached now')
    .addHelpText('after', TOKEN_HELP);
  withCommonFlags(add, { hasOwnTokenFile: true }).action(async (url: string, flags: AddFlags) => addSource(context, add, { url, flags }));

  addSourceCheckCommands(source, context);

  const list = withCommonFlags(source.command('ls').description('list them')).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const sources = await context.connect(connection).sources();
    if (json === true) return context.printJson(sources);
    if (sources.length === 0) return context.note('No source yet. "tekai source add <url>" makes a GitLab known.');
    const now = context.options.now();
    await context.output.print(table(['NAME', 'URL', 'REGISTERED', 'ID'], sources.map((one) => [one.name, one.baseUrl, ageInWords(one.registeredAt, now), one.id])));
  });
  return source;
}

async function addSource(context: CliContext, command: Command, { url, flags }: { url: string; flags: AddFlags }): Promise<void> {
  const { json, ...connection } = flagsOf(command, { hasOwnTokenFile: true });
  const client = context.connect(connection);
  const baseUrl = addressOf(url);
  const pems = { caPem: pemOf(flags.ca, 'certificate authority'), clientCertPem: pemOf(flags.clientCert, 'client certificate'), clientKeyPem: pemOf(flags.clientKey, 'client key') };
  const token = await tokenOf(context, baseUrl, flags.tokenFile);
  const name = flags.name ?? new URL(baseUrl).host;
  const added = await client.addSource({
    baseUrl, token, name,
    ...pems,
    ...(flags.acceptUnreachable === true ? { acceptUnreachable: true } : {}),
    ...(flags.proxy === undefined ? {} : { proxyUrl: flags.proxy }),
    ...(flags.allowAddresses === undefined ? {} : { allowAddresses: flags.allowAddresses }),
  });
  if (json === true) return context.printJson({ ...added, name, baseUrl });
  await context.output.print(`Source ${name} is known.\n  id       ${added.id}\n  webhook  ${added.webhookUrl}\n`);
  context.note(`Next: tekai codebase add ${quotedForShell(name)} <group/project>`);
}

/** A GitLab's address as it is kept. @throws CliError */
export function addressOf(url: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(url) ? url : `https://${url}`;
  const parsed = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) throw new CliError(EXIT.usage, `"${url}" is not the address of a GitLab. It looks like https://gitlab.example.com.`);
  if (parsed.username !== '' || parsed.password !== '') throw new CliError(EXIT.usage, 'The address holds credentials. Leave them out; the token comes by --token-file, TEKAI_GITLAB_TOKEN or the prompt.');
  return withScheme;
}

/** GitLab's token: from its file, the environment, or asked for. @throws CliError */
export async function tokenOf({ options }: CliContext, baseUrl: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return secretFromFile(file);
  const fromEnv = secretFromEnv(options.env, 'TEKAI_GITLAB_TOKEN');
  if (fromEnv !== undefined) return fromEnv;
  if (options.stdin.isTTY === true) return askSecret(`Access token of ${new URL(baseUrl).host} (not shown): `, options);
  throw new CliError(EXIT.usage, 'GitLab\'s token is missing. Name a file that holds it with --token-file, or set TEKAI_GITLAB_TOKEN. It is never an argument: those can be seen by everybody on the machine.');
}

export function pemOf(file: string | undefined, what: string): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(EXIT.usage, `The ${what} cannot be read from ${file} (${(error as NodeJS.ErrnoException).code ?? String(error)}).`);
  }
}

export const quotedForShell = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`);

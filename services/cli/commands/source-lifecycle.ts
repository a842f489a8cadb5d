import { Argument, type Command } from 'commander';
import { secretFromEnv, secretFromFile } from '../connection.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import { manualHookLines } from '../connect/explain-webhooks.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findSource } from '../find-named.ts';
import { printable } from '../plain-text.ts';
import { pemOf } from './source.ts';

interface ChangeFlags { readonly name?: string; readonly tokenFile?: string; readonly ca?: string | false; readonly clientCert?: string | false; readonly clientKey?: string; readonly proxy?: string | false; readonly allowAddresses?: string[]; readonly acceptUnreachable?: boolean }

const TOKEN_HELP = `
A new token: --token-file, or TEKAI_GITLAB_TOKEN (or TEKAI_GITLAB_TOKEN_FILE) together with --token.
The engine's own access token, if it is in a file, is named before the command: tekai --token-file <file> source change …
`;

/** Beside `add` and `ls`. @param source the command that they are under */
export function addSourceLifecycle(source: Command, context: CliContext): void {
  const change = source.command('change').argument('<source>', 'its name or id').description('another name, token, authority, client certificate or proxy; GitLab is asked first whether it takes it')
    .option('--name <name>', 'what to call it')
    .option('--token-file <file>', 'a file that holds the new token')
    .option('--token', 'take the new token from TEKAI_GITLAB_TOKEN, or the file that TEKAI_GITLAB_TOKEN_FILE names')
    .option('--ca <file>', 'the certificate authority that it is signed by, as PEM').option('--no-ca', 'only the system\'s authorities')
    .option('--client-cert <file>', 'a certificate to show to it, as PEM').option('--no-client-cert', 'none, and no key')
    .option('--client-key <file>', 'the key of that certificate, without a passphrase; the one that is known, unless given')
    .option('--proxy <url>', 'an HTTP proxy on the way to it').option('--no-proxy', 'none')
    .option('--allow-addresses <range...>', 'private addresses where it, or its proxy, may be, in place of those before: 10.0.0.0/8')
    .option('--accept-unreachable', 'change it also when GitLab cannot be reached with it now')
    .addHelpText('after', TOKEN_HELP);
  withCommonFlags(change, { hasOwnTokenFile: true }).action(async (named: string, flags: ChangeFlags & { token?: boolean }) => {
    const wanted = wantedOf(flags, flags.token === true ? secretFromEnv(context.options.env, 'TEKAI_GITLAB_TOKEN') : undefined);
    const { json, ...connection } = flagsOf(change, { hasOwnTokenFile: true });
    const client = context.connect(connection);
    const found = await findSource(client, named);
    const changed = await client.changeSource(found.id, wanted, found);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Source ${printable(changed.name)}: ${changed.changed.length === 0 ? 'nothing was to be changed' : `${changed.changed.join(', ')} changed`}.\n`);
  });

  const open = source.command('open-projects').argument('<source>', 'its name or id').addArgument(new Argument('<who>', 'who reads the code of its public and internal projects').choices(['members', 'signed-in']))
    .description('who reads public and internal projects of a GitLab: their members, as of all others, or whoever is signed in here');
  withCommonFlags(open).action(async (named: string, who: 'members' | 'signed-in') => {
    const { json, ...connection } = flagsOf(open);
    const client = context.connect(connection);
    const changed = await client.openProjects((await findSource(client, named)).id, who);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Public and internal projects of ${printable(changed.name)} are read by ${who === 'members' ? 'their members' : 'whoever is signed in'}.\n`);
  });

  const rotate = source.command('rotate-secret').argument('<source>', 'its name or id')
    .description('new secrets for its webhooks, set in GitLab too; the ones before are good until every webhook has the new ones, for a day at most')
    .addHelpText('after', '\nA webhook that was made by hand is changed by hand: "tekai source webhook <source>" shows what belongs in it.\n');
  withCommonFlags(rotate).action(async (named: string) => {
    const { json, ...connection } = flagsOf(rotate);
    const client = context.connect(connection);
    const found = await findSource(client, named);
    const changed = await client.rotateSecret(found.id, found);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Source ${printable(changed.name)} has new webhook secrets. Its webhooks get them now; the ones before are refused once all have them, in a day at the latest.\n`);
  });

  const webhook = source.command('webhook').argument('<source>', 'its name or id')
    .description('what to enter in GitLab to make its webhook by hand, of a project, a group or all of it; shows its secrets');
  withCommonFlags(webhook).action(async (named: string) => {
    const { json, ...connection } = flagsOf(webhook);
    const client = context.connect(connection);
    const hook = await client.manualHook((await findSource(client, named)).id);
    if (json === true) return context.printJson(hook);
    await context.output.print(`${manualHookLines(hook).join('\n')}\n`);
  });

  const remove = source.command('rm').argument('<source>', 'its name or id').description('forget a GitLab that has no codebase left, and its credentials; for good');
  withCommonFlags(remove).action(async (named: string) => {
    const { json, ...connection } = flagsOf(remove);
    const client = context.connect(connection);
    const found = await findSource(client, named);
    const changed = await client.removeSource(found.id, found);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Source ${printable(changed.name)} is removed, and its credentials are forgotten.\n`);
  });
}

function wantedOf({ name, tokenFile, ca, clientCert, clientKey, proxy, allowAddresses, acceptUnreachable }: ChangeFlags, tokenFromEnv: string | undefined) {
  const token = tokenFile === undefined ? tokenFromEnv : secretFromFile(tokenFile);
  const wanted = {
    ...(name === undefined ? {} : { name }),
    ...(token === undefined || token === '' ? {} : { token }),
    // Commander gives true to what is not said and has a --no- beside it.
    ...(ca === false ? { caPem: null } : typeof ca === 'string' ? { caPem: pemOf(ca, 'certificate authority') } : {}),
    ...(clientCert === false ? { clientCertPem: null } : typeof clientCert === 'string' ? { clientCertPem: pemOf(clientCert, 'client certificate') } : {}),
    ...(clientKey === undefined ? {} : { clientKeyPem: pemOf(clientKey, 'client key') }),
    ...(proxy === false ? { proxyUrl: null } : typeof proxy === 'string' ? { proxyUrl: proxy } : {}),
    ...(allowAddresses === undefined ? {} : { allowAddresses }),
  };
  if (Object.keys(wanted).length === 0) throw new CliError(EXIT.usage, 'Say what is to be changed: --name, --token-file, --token (with TEKAI_GITLAB_TOKEN), --ca, --client-cert, --client-key, --proxy or --allow-addresses.');
  return { ...wanted, ...(acceptUnreachable === true ? { acceptUnreachable } : {}) };
}

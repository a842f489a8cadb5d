import type { Command } from 'commander';
import type { UserSummary, UserWithPassword } from '#schemas/api/identity.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findSource, findUser } from '../find-named.ts';
import { ageInWords, printable, table } from '../plain-text.ts';
import { gitlabUserOf } from '../whole-number.ts';

export function addUserCommands(program: Command, context: CliContext): void {
  const user = program.command('user').description('who may sign in');

  const add = user.command('add').argument('<name>', 'by which they sign in').option('--admin', 'a system admin: runs the engine, reads everything').description('let somebody sign in; their first password is shown once');
  withCommonFlags(add).action(async (name: string) => {
    const { json, ...connection } = flagsOf(add);
    const made = await context.connect(connection).addUser({ name, isSystemAdmin: add.opts<{ admin?: boolean }>().admin === true });
    if (json === true) return context.printJson(made);
    await printPassword(context, made);
  });

  const list = withCommonFlags(user.command('ls').description('list them')).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const users = await context.connect(connection).users();
    if (json === true) return context.printJson(users);
    const now = context.options.now();
    await context.output.print(table(['NAME', 'IS', 'STATE', 'SINCE', 'ID'], users.map((one) => [one.name, one.isSystemAdmin ? 'system admin' : 'user', one.hasOneTimePassword ? `${one.state}, not signed in yet` : one.state, ageInWords(one.createdAt, now), one.id])));
  });

  const reset = user.command('reset-password').argument('<user>', 'name or id').description('give them a new one-time password; they are signed out everywhere');
  withCommonFlags(reset).action(async (named: string) => {
    const { json, ...connection } = flagsOf(reset);
    const client = context.connect(connection);
    const made = await client.resetPassword((await findUser(client, named)).id);
    if (json === true) return context.printJson(made);
    await printPassword(context, made);
  });

  addBinding(user, context);
  addChange(user, context, { verb: 'disable', about: 'let them sign in no longer; they are out at once', said: 'is disabled', run: (client, { id }) => client.changeUser(id, { state: 'disabled' }) });
  addChange(user, context, { verb: 'enable', about: 'let them sign in again', said: 'may sign in', run: (client, { id }) => client.changeUser(id, { state: 'active' }) });
  addChange(user, context, { verb: 'make-admin', about: 'make them a system admin', said: 'is a system admin', run: (client, { id }) => client.changeUser(id, { isSystemAdmin: true }) });
  addChange(user, context, { verb: 'take-admin', about: 'have them be a system admin no longer', said: 'is no system admin', run: (client, { id }) => client.changeUser(id, { isSystemAdmin: false }) });
  addChange(user, context, { verb: 'erase', about: 'forget who they are, for good; facts keep an id that is nobody\'s', said: 'is erased', run: async (client, one) => { await client.eraseUser(one.id); return one; } });
}

function addBinding(user: Command, context: CliContext): void {
  const link = user.command('link').argument('<user>', 'name or id').option('--source <source>', 'the GitLab\'s name or id').option('--gitlab-user <number>', 'their id there: GET /api/v4/users?username=…')
    .description('say who somebody is in a GitLab: they read what GitLab lets that user read');
  withCommonFlags(link).action(async (named: string) => {
    const { json, ...connection } = flagsOf(link);
    const client = context.connect(connection);
    const { source, gitlabUser } = link.opts<{ source?: string; gitlabUser?: string }>();
    const gitlabUserId = gitlabUserOf(gitlabUser ?? '');
    const found = await findSource(client, sourceGiven(source));
    const bound = await client.bindGitLabUser((await findUser(client, named)).id, { sourceId: found.id, gitlabUserId });
    if (json === true) return context.printJson(bound);
    await context.output.print(`${printable(named)} is user ${gitlabUserId} of ${printable(found.name)}.\n`);
  });

  const unlink = user.command('unlink').argument('<user>', 'name or id').option('--source <source>', 'the GitLab\'s name or id').description('have somebody be nobody in a GitLab; they read no longer what they read by that');
  withCommonFlags(unlink).action(async (named: string) => {
    const { json, ...connection } = flagsOf(unlink);
    const client = context.connect(connection);
    const found = await findSource(client, sourceGiven(unlink.opts<{ source?: string }>().source));
    const bound = await client.unbindGitLabUser((await findUser(client, named)).id, found.id);
    if (json === true) return context.printJson(bound);
    await context.output.print(`${printable(named)} is nobody in ${printable(found.name)} any more.\n`);
  });
}

/** @throws CliError */
function sourceGiven(source: string | undefined): string {
  if (source !== undefined) return source;
  throw new CliError(EXIT.usage, 'Which GitLab? --source takes its name or id; "tekai source ls" lists them.');
}

interface Change {
  readonly verb: string;
  readonly about: string;
  readonly said: string;
  run(client: ApiClient, user: UserSummary): Promise<UserSummary>;
}

function addChange(parent: Command, context: CliContext, { verb, about, said, run }: Change): void {
  const command = parent.command(verb).argument('<user>', 'name or id').description(about);
  withCommonFlags(command).action(async (named: string) => {
    const { json, ...connection } = flagsOf(command);
    const client = context.connect(connection);
    const changed = await run(client, await findUser(client, named));
    if (json === true) return context.printJson(changed);
    await context.output.print(`${printable(changed.name)} ${said}.\n`);
  });
}

async function printPassword(context: CliContext, { name, oneTimePassword, passwordExpiresAt }: UserWithPassword): Promise<void> {
  await context.output.print(`${printable(name)} signs in with the one-time password\n  ${oneTimePassword}\n`);
  context.note(`It is shown this once, and good until ${passwordExpiresAt.slice(0, 10)}. They run: tekai login ${printable(name)}`);
}

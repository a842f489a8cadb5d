import type { Command } from 'commander';
import type { AccessThen, CodebaseAccess } from '#schemas/api/access.ts';
import { codebaseId } from '#schemas/brand.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { counted } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase, findUser } from '../find-named.ts';
import { ageInWords, printable, table } from '../plain-text.ts';

export function addAccessCommand(program: Command, context: CliContext): void {
  const command = program.command('access').argument('[codebase]', 'the codebase\'s id, or the end of its GitLab path').description('who may read a codebase, and why; or what somebody may read; now, or as it was')
    .option('--user <user>', 'what this user may read instead: name or id').option('--at <moment>', 'as of a position or a time such as 2026-01-31T12:00:00Z');
  withCommonFlags(command).action(async (named: string | undefined) => {
    const { json, ...connection } = flagsOf(command);
    const { user, at } = command.opts<{ user?: string; at?: string }>();
    if ((named === undefined) === (user === undefined)) throw new CliError(EXIT.usage, 'Whose access? Either a codebase, or --user.');
    const client = context.connect(connection);
    if (named !== undefined && at === undefined) return accessNow(context, await client.access((await findCodebase(client, named)).id), json === true);
    const then = at === undefined ? {} : { at };
    const access = await client.accessThen(user === undefined ? { codebase: await idOf(client, named ?? ''), ...then } : { user: await userOf(client, user), ...then });
    if (json === true) return context.printJson(access);
    const ofUser = user !== undefined;
    const paths = ofUser && access.readings.length > 0 ? await pathsOf(client) : new Map<string, string>();
    await printThen(context, access, { first: ofUser ? 'CODEBASE' : 'NAME', firstOf: (one) => (ofUser ? paths.get(one.codebase) ?? one.codebase : one.userId === null ? '(whoever is signed in)' : one.name ?? '(erased)') });
  });
}

async function accessNow(context: CliContext, access: CodebaseAccess, isJson: boolean): Promise<void> {
  if (isJson) return context.printJson(access);
  const { readers, gitlab, askedAt, trouble } = access;
  if (readers.length > 0) await context.output.print(table(['NAME', 'READS BECAUSE', 'ID'], readers.map((one) => [one.name ?? '(erased)', reasonOf(one), one.userId])));
  if (gitlab?.isOpen === true) context.note('Whoever is signed in: GitLab shows it beyond its members, and the source\'s open projects are opened to them.');
  else context.note(readers.length === 0 ? 'Nobody but system admins.' : 'And system admins.');
  const now = context.options.now();
  context.note(gitlab === null ? 'GitLab has not said yet who reads it.'
    : `GitLab lets ${counted(gitlab.users, 'member')} read it, as of ${ageInWords(askedAt, now)}; ${gitlab.unbound.length} of them are nobody here ("tekai user link" says who is who).`);
  if (trouble !== null) context.note(`It cannot be asked now, and what was known stays: ${printable(trouble)}`);
}

type Reading = AccessThen['readings'][number];

async function printThen(context: CliContext, { position, readings, unknown }: AccessThen, { first, firstOf }: { readonly first: string; firstOf(one: Reading): string }): Promise<void> {
  if (readings.length > 0) {
    await context.output.print(table([first, 'COULD READ BECAUSE', 'SINCE', 'BY', 'FACT'], readings.map((one) => [firstOf(one), reasonOf(one), one.since.time, one.since.actor.name ?? one.since.actor.kind, `${one.since.type} ${one.since.position}`])));
  }
  context.note(`As of position ${position}. ${readings.length === 0 ? 'Nobody but' : 'And'} system admins; who was one is in no fact.`);
  if (unknown.some(({ what }) => what === 'bindings')) context.note('Who was who in GitLab was not yet recorded then: there may have been more.');
  const unheard = unknown.filter(({ what }) => what === 'gitlab-readers').length;
  if (unheard > 0) context.note(`Of ${counted(unheard, 'codebase')} GitLab had not said yet who reads them: nobody could here by that.`);
}

function reasonOf({ because, gitlabUserId, project }: Pick<Reading, 'because' | 'gitlabUserId' | 'project'>): string {
  switch (because) {
    case 'gitlab': return `GitLab user ${gitlabUserId} may`;
    case 'project': return `members of ${project?.name ?? ''} may`;
    case 'open': return 'GitLab shows it, and its source is open';
    default: return because satisfies never;
  }
}

/** Of what is deleted by now the id does. */
async function idOf(client: ApiClient, named: string): Promise<string> {
  const id = codebaseId.safeParse(named.toLowerCase());
  return id.success ? id.data : (await findCodebase(client, named)).id;
}

/** Of who is erased by now the id does. */
async function userOf(client: ApiClient, named: string): Promise<string> {
  const id = codebaseId.safeParse(named.toLowerCase());
  return id.success ? id.data : (await findUser(client, named)).id;
}

async function pathsOf(client: ApiClient): Promise<Map<string, string>> {
  const paths = new Map<string, string>();
  for await (const { id, path } of client.codebases()) if (path !== null) paths.set(id, path);
  return paths;
}

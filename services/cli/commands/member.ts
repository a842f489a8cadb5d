import type { Command } from 'commander';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findProject } from '../find-named.ts';
import { ageInWords, printable, table } from '../plain-text.ts';

const PROJECT = 'the project\'s name or id';

export function addMemberCommands(program: Command, context: CliContext): void {
  const member = program.command('member').description('who is in a project, and who decides about it');

  const list = member.command('ls').argument('<of>', PROJECT).description('list them');
  withCommonFlags(list).action(async (named: string) => {
    const { json, ...connection } = flagsOf(list);
    const client = context.connect(connection);
    const members = await client.members((await findProject(client, named)).id);
    if (json === true) return context.printJson(members);
    if (members.length === 0) return context.note('Nobody is in it: system admins decide about it.');
    const now = context.options.now();
    await context.output.print(table(['NAME', 'IS', 'SINCE', 'ID'], members.map((one) => [one.name ?? '(erased)', one.role, ageInWords(one.since, now), one.userId])));
  });

  const add = member.command('add').argument('<of>', PROJECT).argument('<user>', 'name or id').option('--admin', 'who decides about the project and its people').description('have somebody be in a project; again, with or without --admin, changes what they are');
  withCommonFlags(add).action(async (named: string, user: string) => {
    const { json, ...connection } = flagsOf(add);
    const client = context.connect(connection);
    const role = add.opts<{ admin?: boolean }>().admin === true ? 'admin' : 'member';
    const changed = await client.setMember((await findProject(client, named)).id, user, role);
    if (json === true) return context.printJson(changed);
    await context.output.print(`${printable(user)} is ${role} of ${printable(changed.name)}.\n`);
  });

  const remove = member.command('rm').argument('<of>', PROJECT).argument('<user>', 'name or id').description('have somebody be in a project no longer');
  withCommonFlags(remove).action(async (named: string, user: string) => {
    const { json, ...connection } = flagsOf(remove);
    const client = context.connect(connection);
    const { id } = await findProject(client, named);
    const found = (await client.members(id)).find(({ userId, name }) => userId === user || name === user);
    if (found === undefined) throw new CliError(EXIT.failed, `There is no member "${printable(user)}" in it. "tekai member ls ${printable(named)}" lists them.`);
    const changed = await client.removeMember(id, found.userId);
    if (json === true) return context.printJson(changed);
    await context.output.print(`${printable(user)} is in ${printable(changed.name)} no longer.\n`);
  });
}

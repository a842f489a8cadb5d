import type { Command } from 'commander';
import { counted } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { ageInWords, table } from '../plain-text.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function addParkedCommands(program: Command, context: CliContext): void {
  const parked = withCommonFlags(program.command('parked').description('work that was set aside, and why')).action(async () => {
    const { json, ...connection } = flagsOf(parked);
    const all = await context.connect(connection).parked();
    if (json === true) return context.printJson(all);
    if (all.length === 0) return context.note('Nothing is set aside.');
    const now = context.options.now();
    await context.output.print(table(['GROUP', 'KEY', 'SINCE', 'AT', 'WAITING', 'REASON'], all.map((one) => [one.group, one.key, ageInWords(one.since, now), one.type, counted(one.facts, 'fact'), one.reason])));
    context.note('When the cause is mended: tekai redrive <group> <key>');
  });

  const redrive = program.command('redrive')
    .argument('<group>', 'as "tekai parked" shows it').argument('<key>', 'the key; or a codebase\'s path')
    .description('try again what was set aside');
  withCommonFlags(redrive).action(async (group: string, named: string) => {
    const { json, ...connection } = flagsOf(redrive);
    const client = context.connect(connection);
    // Keys of other kinds than codebases are parked too: an id goes as it is.
    const key = UUID.test(named) ? named : (await findCodebase(client, named)).id;
    const answer = await client.redrive(group, key);
    if (json === true) return context.printJson(answer);
    await context.output.print(`${counted(answer.facts, 'fact')} of ${key} ${answer.facts === 1 ? 'is' : 'are'} worked on again by ${group}.\n`);
  });
}

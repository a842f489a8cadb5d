import { Option, type Command } from 'commander';
import { TOKEN_SCOPES, type TokenScope } from '#schemas/api/identity.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { ageInWords, table } from '../plain-text.ts';
import { daysOf } from '../whole-number.ts';
import { withSession } from './sign-in.ts';

export function addTokenCommands(program: Command, context: CliContext): void {
  const token = program.command('token').description('personal tokens, for programs that act as you');

  const create = token.command('create').argument('<user>', 'your user name').argument('<name>', 'what it is for')
    .addOption(new Option('--scope <scope>', 'what it may be used for').choices([...TOKEN_SCOPES]).default('read'))
    .option('--days <n>', 'how long it is good', daysOf, 30)
    .description('make one; asks for your password, and shows the token once');
  withCommonFlags(create).action(async (user: string, name: string) => {
    const { json, ...connection } = flagsOf(create);
    const { scope, days } = create.opts<{ scope: TokenScope; days: number }>();
    const { url } = context.connect(connection);
    const made = await withSession(context, { url, name: user }, (client) => client.makeToken({ name, scope, expiresInDays: days }));
    if (json === true) return context.printJson(made);
    await context.output.print(`${made.token}\n`);
    context.note(`It is shown this once: for ${made.scope}, until ${made.expiresAt.slice(0, 10)}. "tekai token revoke ${made.id}" ends it.`);
  });

  const list = withCommonFlags(token.command('ls').description('list yours')).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const tokens = await context.connect(connection).tokens();
    if (json === true) return context.printJson(tokens);
    if (tokens.length === 0) return context.note('You have no personal token.');
    const now = context.options.now();
    await context.output.print(table(['NAME', 'FOR', 'MADE', 'LAST USED', 'GOOD UNTIL', 'ID'], tokens.map((one) => [one.name, one.scope, ageInWords(one.createdAt, now), ageInWords(one.lastUsedAt, now), one.expiresAt.slice(0, 10), one.id])));
  });

  const revoke = token.command('revoke').argument('<id>', 'as "tekai token ls" shows it').description('end one at once');
  withCommonFlags(revoke).action(async (id: string) => {
    const { json, ...connection } = flagsOf(revoke);
    await context.connect(connection).revokeToken(id);
    if (json === true) return context.printJson({ id });
    await context.output.print('The token is revoked.\n');
  });
}

import type { Command } from 'commander';
import type { AuditEntry } from '#schemas/api/audit.ts';
import { codebaseId } from '#schemas/brand.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findUser } from '../find-named.ts';
import { table } from '../plain-text.ts';
import { limitOf } from '../whole-number.ts';

interface Flags { readonly actor?: string; readonly act?: string; readonly target?: string; readonly since?: string; readonly until?: string; readonly limit: string }

export function addAuditCommand(program: Command, context: CliContext): void {
  const audit = program.command('audit').description('who did what, and what was refused; the latest first')
    .option('--actor <user>', 'what this user did: name or id').option('--act <acts>', 'such as signed-in, sign-in-refused, user-made, source.changed; several with commas')
    .option('--target <id>', 'what was done about this user, source, project or codebase').option('--since <time>', 'from this time on, such as 2026-01-31T12:00:00Z').option('--until <time>', 'before this time').option('--limit <n>', 'how many', '50');
  withCommonFlags(audit).action(async () => {
    const { json, ...connection } = flagsOf(audit);
    const client = context.connect(connection);
    const { limit, actor, ...filter } = audit.opts<Flags>();
    const [found, max]: [AuditEntry[], number] = [[], limitOf(limit)];
    // Of who is erased by now the id does.
    const by = actor === undefined || codebaseId.safeParse(actor).success || actor === 'first-token' ? actor : (await findUser(client, actor)).id;
    for await (const one of client.audit({ ...filter, actor: by })) if (found.push(one) >= max) break;
    if (json === true) return context.printJson(found);
    if (found.length === 0) return context.note('There is none.');
    await context.output.print(table(['TIME', 'WHO', 'FROM', 'DID', 'TO', 'WHERE AND WHY'], found.map((one) => [one.at, whoOf(one), one.address ?? '-', one.count === 1 ? one.act : `${one.act} ×${one.count}`, one.target ?? '-', [one.route, one.code].filter((part) => part !== null).join(': ')])));
  });
}

function whoOf({ actor: { kind, id, name } }: AuditEntry): string {
  if (kind === 'user') return name ?? `(erased) ${id ?? ''}`;
  return kind === 'token' ? 'the engine\'s own token' : kind;
}

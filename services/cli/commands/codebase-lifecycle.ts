import type { Command } from 'commander';
import type { CodebaseChangedAnswer, CodebaseSummary } from '#schemas/api/codebases.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { printable } from '../plain-text.ts';

interface Change {
  readonly verb: string;
  readonly about: string;
  run(client: ApiClient, codebase: CodebaseSummary): Promise<CodebaseChangedAnswer>;
  said(changed: CodebaseChangedAnswer): string;
}

const CHANGES: readonly Change[] = [
  { verb: 'archive', about: 'keep what is stored, and sync it no longer', run: (client, one) => client.archiveCodebase(one.id, one), said: () => 'is archived: read as before, and synced no longer' },
  { verb: 'restore', about: 'sync again what was archived or removed', run: (client, one) => client.restoreCodebase(one.id, one), said: () => 'is back; GitLab is being asked for every followed ref' },
  { verb: 'rm', about: 'hide it and take our webhook away; can be undone for seven days', run: (client, one) => client.removeCodebase(one.id, one), said: (changed) => `is removed. Until ${changed.undoUntil} "tekai codebase restore" undoes it` },
];

/** Beside `add` and `ls`. @param codebase the command that they are under */
export function addCodebaseLifecycle(codebase: Command, context: CliContext): void {
  for (const { verb, about, run, said } of CHANGES) {
    const command = codebase.command(verb).argument('<codebase>', 'its id, or the end of its GitLab path').description(about);
    withCommonFlags(command).action(async (named: string) => {
      const { json, ...connection } = flagsOf(command);
      const client = context.connect(connection);
      const found = await findCodebase(verb === 'restore' ? withRemoved(client) : client, named);
      const changed = await run(client, found);
      if (json === true) return context.printJson(changed);
      await context.output.print(`Codebase ${printable(found.path ?? found.id)} ${said(changed)}.\n`);
    });
  }

  const follow = codebase.command('follow').argument('<codebase>', 'its id, or the end of its GitLab path')
    .description('follow other refs than before; those that are left out are no longer current, and stay readable with --at')
    .option('--branches <patterns>', 'branches to follow, separated by commas; * matches anything (default: as before)')
    .option('--tags <patterns>', 'tags to follow, likewise; "" for none');
  withCommonFlags(follow).action(async (named: string, flags: { branches?: string; tags?: string }) => {
    if (flags.branches === undefined && flags.tags === undefined) throw new CliError(EXIT.usage, 'Say which refs to follow: --branches, --tags, or both.');
    const { json, ...connection } = flagsOf(follow);
    const client = context.connect(connection);
    const found = await findCodebase(client, named);
    const followed = { branches: patternsOf(flags.branches) ?? found.followed.branches, tags: patternsOf(flags.tags) ?? found.followed.tags };
    const changed = await client.changeCodebase(found.id, { followed }, found);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Codebase ${printable(found.path ?? found.id)} follows ${[...changed.followed.branches, ...changed.followed.tags.map((tag) => `tag ${tag}`)].map(printable).join(', ') || 'nothing'}.\n`);
  });
}

function withRemoved(client: ApiClient): Pick<ApiClient, 'codebases'> {
  return { async *codebases() { yield* client.codebases({ state: 'removed' }); yield* client.codebases(); } };
}

const patternsOf = (given: string | undefined) => given?.split(',').map((pattern) => pattern.trim()).filter((pattern) => pattern !== '');

import type { Command } from 'commander';
import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import { shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findSource } from '../find-named.ts';
import { ageInWords, table } from '../plain-text.ts';
import { watchSyncs } from '../watch-syncs.ts';
import { quotedForShell } from './source.ts';
import { tellSyncs } from './sync.ts';

interface AddFlags { readonly branches: string[]; readonly tags: string[]; readonly wait: boolean }

export function addCodebaseCommands(program: Command, context: CliContext): Command {
  const codebase = program.command('codebase').description('the GitLab projects that are followed');

  const add = codebase.command('add')
    .argument('<source>', 'the source\'s name or id').argument('<project>', 'the GitLab project\'s full path, or its id')
    .description('follow a project, and wait until its default branch is here')
    .option('--branches <patterns>', 'branches to follow, separated by commas; * matches anything (default: all)', collect, [])
    .option('--tags <patterns>', 'tags to follow, likewise (default: none)', collect, [])
    .option('--no-wait', 'do not wait for the first sync');
  withCommonFlags(add).action(async (source: string, project: string, flags: AddFlags) => addCodebase(context, add, { source, project, flags }));

  const list = withCommonFlags(codebase.command('ls').description('list them')).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const codebases: CodebaseSummary[] = [];
    for await (const one of context.connect(connection).codebases()) codebases.push(one);
    if (json === true) return context.printJson(codebases);
    if (codebases.length === 0) return context.note('No codebase yet. "tekai codebase add <source> <group/project>" follows one.');
    const now = context.options.now();
    await context.output.print(table(['PATH', 'DEFAULT', 'WEBHOOK', 'GITLAB ASKED', 'ID'], codebases.map((one) =>
      [one.path ?? `project ${one.gitlabProjectId}`, one.defaultRef === null ? '-' : shortRef(one.defaultRef), one.hook.state, ageInWords(one.lastObservedAt, now), one.id])));
  });
  return codebase;
}

async function addCodebase(context: CliContext, command: Command, { source, project, flags }: { source: string; project: string; flags: AddFlags }): Promise<void> {
  const { json, ...connection } = flagsOf(command);
  const client = context.connect(connection);
  const { id: sourceId } = await findSource(client, source);
  const { id, cause } = await client.addCodebase({
    sourceId, gitlabProject: projectOf(project),
    followed: { branches: flags.branches.length > 0 ? flags.branches : ['*'], tags: flags.tags },
  });
  if (json !== true) await context.output.print(`Codebase ${project} is followed.\n  id  ${id}\n`);
  if (!flags.wait) {
    if (json === true) return context.printJson({ id, cause, syncs: [] });
    return context.note(`Its first sync goes on by itself. "tekai status ${id}" shows how it stands.`);
  }
  const syncs = await watchSyncs({ client, display: context.progress(), sleep: context.options.sleep }, { codebase: id, cause, refs: 'first' });
  if (json === true) await context.printJson({ id, cause, syncs });
  await tellSyncs(context, syncs, { isJson: json === true });
  if (json !== true && context.exitCode === EXIT.ok) context.note(`Next: tekai ls ${quotedForShell(project.replace(/^.*\//, ''))}`);
}

function projectOf(given: string): number | string {
  if (/^\d+$/.test(given)) return Number(given);
  const path = given.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  if (/^[a-z]+:\/\//i.test(path) || path === '') throw new CliError(EXIT.usage, `"${given}" is not a project's path. It is the part behind the host: group/project.`);
  return path;
}

const collect = (given: string, before: string[]) => [...before, ...given.split(',').map((pattern) => pattern.trim()).filter((pattern) => pattern !== '')];

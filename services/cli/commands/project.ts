import type { Command } from 'commander';
import type { ProjectSummary } from '#schemas/api/projects.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { counted } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase, findProject } from '../find-named.ts';
import { ageInWords, printable, table } from '../plain-text.ts';

const isUuid = (text: string) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
const PROJECT = 'its name or id';
const CODEBASE = 'the codebase\'s id, or the end of its GitLab path';

export function addProjectCommands(program: Command, context: CliContext): void {
  const project = program.command('project').description('named groups of codebases');

  const add = project.command('add').argument('<name>', 'what to call it').description('begin a project');
  withCommonFlags(add).action(async (name: string) => {
    const { json, ...connection } = flagsOf(add);
    const made = await context.connect(connection).createProject(name);
    if (json === true) return context.printJson(made);
    await context.output.print(`Project ${printable(made.name)} begins.\n  id  ${made.id}\n`);
    context.note(`Next: tekai project add-codebase ${made.id} <codebase>`);
  });

  const list = withCommonFlags(project.command('ls').description('list them')).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const projects: ProjectSummary[] = [];
    for await (const one of context.connect(connection).projects()) projects.push(one);
    if (json === true) return context.printJson(projects);
    if (projects.length === 0) return context.note('No project yet. "tekai project add <name>" begins one.');
    const now = context.options.now();
    await context.output.print(table(['NAME', 'CODEBASES', 'STATE', 'BEGUN', 'ID'], projects.map((one) => [one.name, String(one.codebaseCount), one.state, ageInWords(one.createdAt, now), one.id])));
  });

  const show = project.command('show').argument('<project>', PROJECT).description('a project and its codebases');
  withCommonFlags(show).action(async (named: string) => {
    const { json, ...connection } = flagsOf(show);
    const client = context.connect(connection);
    const detail = await client.project((await findProject(client, named)).id);
    if (json === true) return context.printJson(detail);
    const now = context.options.now();
    await context.output.print(`${printable(detail.name)} (${detail.state}, ${counted(detail.codebaseCount, 'codebase')})\n  id  ${detail.id}\n`);
    if (detail.codebases.length > 0) {
      await context.output.print(`\n${table(['CODEBASE', 'STATE', 'GITLAB ASKED', 'ID'], detail.codebases.map((one) => [one.path ?? `project ${one.gitlabProjectId}`, one.state, ageInWords(one.lastObservedAt, now), one.id]))}`);
    }
    if (detail.next !== null) context.note(`and more: GET ${detail.next}`);
  });

  addChange(project, context, { verb: 'archive', about: 'keep it for looking', said: 'is archived', run: (client, one) => client.archiveProject(one.id, one) });
  addChange(project, context, { verb: 'restore', about: 'bring back what was archived or removed', said: 'is back', run: (client, one) => client.restoreProject(one.id, one) });
  addChange(project, context, { verb: 'rm', about: 'hide it; its codebases stay, and "restore" undoes it', said: 'is removed; "tekai project restore" undoes it', run: (client, one) => client.removeProject(one.id, one) });
  addWithArgument(project, context);
}

interface Change {
  readonly verb: string;
  readonly about: string;
  readonly said: string;
  run(client: ApiClient, project: ProjectSummary): Promise<{ readonly name: string }>;
}

function addChange(parent: Command, context: CliContext, { verb, about, said, run }: Change): void {
  const command = parent.command(verb).argument('<project>', PROJECT).description(about);
  withCommonFlags(command).action(async (named: string) => {
    const { json, ...connection } = flagsOf(command);
    const client = context.connect(connection);
    const changed = await run(client, await findProject(client, named, { orRemoved: verb === 'restore' }));
    if (json === true) return context.printJson(changed);
    await context.output.print(`Project ${printable(changed.name)} ${said}.\n`);
  });
}

function addWithArgument(project: Command, context: CliContext): void {
  const rename = project.command('rename').argument('<project>', PROJECT).argument('<name>', 'what to call it from now on').description('call it otherwise');
  withCommonFlags(rename).action(async (named: string, name: string) => {
    const { json, ...connection } = flagsOf(rename);
    const client = context.connect(connection);
    const found = await findProject(client, named);
    const changed = await client.renameProject(found.id, name, found);
    if (json === true) return context.printJson(changed);
    await context.output.print(`Project ${printable(found.name)} is ${printable(changed.name)} now.\n`);
  });

  for (const verb of ['add-codebase', 'remove-codebase'] as const) {
    const command = project.command(verb).argument('<project>', PROJECT).argument('<codebase>', CODEBASE)
      .description(verb === 'add-codebase' ? 'have a codebase in it' : 'have a codebase in it no longer; it itself stays');
    withCommonFlags(command).action(async (named: string, one: string) => {
      const { json, ...connection } = flagsOf(command);
      const client = context.connect(connection);
      const found = await findProject(client, named);
      const codebase = await findCodebase(client, one);
      // Whoever adds another one meanwhile is no conflict.
      const changed = await (verb === 'add-codebase' ? client.addToProject(found.id, codebase.id) : client.removeFromProject(found.id, codebase.id));
      if (json === true) return context.printJson(changed);
      await context.output.print(`Project ${printable(changed.name)} has ${printable(codebase.path ?? codebase.id)} ${verb === 'add-codebase' ? 'now' : 'no longer'}.\n`);
    });
  }

  for (const verb of ['open', 'close'] as const) {
    const command = project.command(verb).argument('<project>', PROJECT).argument('<codebase>', CODEBASE)
      .description(verb === 'open' ? 'have the project\'s members read a codebase of it, whatever GitLab says of them' : 'have them read it no longer, unless GitLab says so');
    withCommonFlags(command).action(async (named: string, one: string) => {
      const { json, ...connection } = flagsOf(command);
      const client = context.connect(connection);
      const { id } = await findProject(client, named);
      // Who decides about a project need not be able to see it: an id is taken as it is.
      const codebase = isUuid(one) ? one : (await findCodebase(client, one)).id;
      const changed = await client.setReading(id, codebase, verb === 'open');
      if (json === true) return context.printJson(changed);
      await context.output.print(`The members of ${printable(changed.name)} read ${printable(one)} ${verb === 'open' ? 'now' : 'no longer, unless GitLab says so'}.\n`);
    });
  }
}

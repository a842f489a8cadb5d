import type { Command } from 'commander';
import type { FollowerAnswer, FollowerEntry } from '#schemas/api/followers.ts';
import { shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { printable } from '../plain-text.ts';

interface Given { readonly codebase?: string[]; readonly project?: string; readonly all?: true; readonly ref?: string[] }

export function addFollowCommands(program: Command, context: CliContext): void {
  const follow = program.command('follow').argument('<name>', 'of the follower: the engine remembers how far it is')
    .description('what changes in what you follow, file by file, until Ctrl-C; goes on where it ended')
    .option('--codebase <codebase>', 'follow this one; may be given several times', collect)
    .option('--project <id>', 'follow the codebases of a project, whichever they are').option('--all', 'follow whatever you may read')
    .option('--ref <pattern>', 'these refs, "*" matches anything (default: each default branch)', collect);
  withCommonFlags(follow).action(async (name: string, given: Given) => {
    const { json, ...connection } = flagsOf(follow);
    const client = context.connect(connection);
    const codebases = given.codebase === undefined ? undefined : await Promise.all(given.codebase.map(async (named) => (await findCodebase(client, named)).id));
    const changes = client.follow(name, {
      ...(codebases === undefined ? {} : { codebases }), ...(given.project === undefined ? {} : { project: given.project }), ...(given.all === undefined ? {} : { all: given.all }),
      ...(given.ref === undefined ? {} : { refs: given.ref }),
      ends: true, signal: context.output.closed, onLost: (reason) => context.note(`The connection was lost (${printable(reason)}); it is made again, and nothing is missed.`),
    });
    for await (const entry of changes) await context.output.print(json === true ? `${JSON.stringify(entry)}\n` : lineOf(entry));
  });

  const list = follow.command('ls').description('your followers, and how far each is');
  withCommonFlags(list).action(async () => {
    const { json, ...connection } = flagsOf(list);
    const followers = await context.connect(connection).followers();
    if (json === true) { await context.printJson(followers); return; }
    if (followers.length === 0) context.note('You have no followers. "tekai follow <name> --all" makes one.');
    for (const one of followers) await context.output.print(`${printable(one.name).padEnd(24)}  ${scopeOf(one).padEnd(40)}  ${stateOf(one)}\n`);
  });

  const remove = follow.command('rm').argument('<name>').description('forget a follower');
  withCommonFlags(remove).action(async (name: string) => {
    const { json: _json, ...connection } = flagsOf(remove);
    await context.connect(connection).removeFollower(name);
    context.note(`${printable(name)} is forgotten.`);
  });
}

const collect = (given: string, before: string[] = []) => [...before, given];

function lineOf(entry: FollowerEntry): string {
  const where = 'ref' in entry ? `${entry.codebase}  ${printable(shortRef(entry.ref))}` : 'codebase' in entry ? entry.codebase : '';
  const what = 'path' in entry ? printable(entry.path) : entry.op === 'ref-moved' ? entry.to.commit ?? 'empty' : entry.op === 'end' ? entry.position : '';
  return `${entry.op.padEnd(16)}  ${[where, what].filter((one) => one !== '').join('  ')}`.trimEnd() + '\n';
}

function scopeOf({ all, project, codebases, refs }: FollowerAnswer): string {
  const what = all === true ? 'everything' : project === undefined ? `${codebases?.length ?? 0} codebases` : `project ${project}`;
  return printable(`${what}, ${refs === null ? 'default branches' : refs.join(' ')}`);
}

function stateOf({ queuedGroups, lastAckAt, webhook }: FollowerAnswer): string {
  const told = lastAckAt === null ? 'never acknowledged' : `acknowledged ${lastAckAt}`;
  const hook = webhook === null ? '' : `, webhook ${webhook.state}${webhook.lastError === null ? '' : `: ${printable(webhook.lastError)}`}`;
  return `${queuedGroups} queued, ${told}${hook}`;
}

import type { Command } from 'commander';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import { describeFact } from '#shared/api-client/describe-fact.ts';
import type { LiveMessage } from '#shared/api-client/live.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { printable } from '../plain-text.ts';

export function addTailCommand(program: Command, context: CliContext): void {
  const tail = program.command('tail').argument('[codebase]', 'its id, or the end of its GitLab path (default: everything, for system admins)')
    .description('what happens, as it happens, until Ctrl-C')
    .option('--project <id>', 'what happens in its codebases, and to itself')
    .option('--since <position>', 'first what came after this position, as answers and --json give it');
  withCommonFlags(tail).action(async (named: string | undefined, { since, project }: { since?: string; project?: string }) => {
    const { json, ...connection } = flagsOf(tail);
    const client = context.connect(connection);
    const channel = await channelOf(client, { named, project });
    const names = createNames(client);
    for await (const message of client.live({ channel, since, signal: context.output.closed })) {
      if (message.kind === 'fact') {
        await context.output.print(json === true ? `${JSON.stringify(message)}\n` : lineOf(message, await names.of(message.key)));
      } else {
        remark(context, message, client.url);
      }
    }
  });
}

async function channelOf(client: ApiClient, { named, project }: { named: string | undefined; project: string | undefined }): Promise<string> {
  if (project === undefined) return named === undefined ? 'all' : `codebase:${(await findCodebase(client, named)).id}`;
  if (named !== undefined) throw new CliError(EXIT.usage, 'Say a codebase or a project, not both.');
  if (!UUID.test(project)) throw new CliError(EXIT.usage, `"${printable(project)}" is no id of a project. An id looks like 0d2f6a3e-7c1b-5f7e-9a51-3f0f2f6f2b10.`);
  return `project:${project.toLowerCase()}`;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function remark(context: CliContext, message: Exclude<LiveMessage, { kind: 'fact' }>, url: string): void {
  switch (message.kind) {
    case 'listening': context.note(`Listening at ${url}. Ctrl-C ends.`); return;
    case 'lost': context.note(`The connection was lost (${message.reason}); it is made again, and nothing is missed.`); return;
    case 'resumed': context.note('Connected again.'); return;
    case 'gap': context.note(`What came before ${message.position} is too much to catch up with, or of another log. "tekai status" shows how things stand; here it goes on from now.`); return;
    case 'progress': return;
    default: message satisfies never;
  }
}

function lineOf({ time, type, data }: Extract<LiveMessage, { kind: 'fact' }>, name: string): string {
  return `${time}  ${type.padEnd(20)}  ${printable(name)}  ${printable(describeFact(type, data))}`.trimEnd() + '\n';
}

/** Those who are no system admin are told nothing of sources, and need no names of them. */
async function sourcesOf(client: Pick<ApiClient, 'sources'>): Promise<Awaited<ReturnType<ApiClient['sources']>>> {
  try {
    return await client.sources();
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 403) return [];
    throw error;
  }
}

/** Paths of codebases and names of sources by their ids; what is new is asked for once. */
function createNames(client: Pick<ApiClient, 'codebases' | 'sources'>) {
  const known = new Map<string, string>();
  return {
    async of(key: string): Promise<string> {
      if (!known.has(key)) {
        for await (const one of client.codebases()) known.set(one.id, one.path ?? one.id);
        for (const one of await sourcesOf(client)) known.set(one.id, one.name);
        if (!known.has(key)) known.set(key, key);
      }
      return known.get(key) ?? key;
    },
  };
}

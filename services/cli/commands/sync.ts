import type { Command } from 'commander';
import type { RefName } from '#schemas/brand.ts';
import type { SyncAnswer } from '#schemas/api/syncs.ts';
import { counted, shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { findCodebase } from '../find-named.ts';
import { printable } from '../plain-text.ts';
import { watchSyncs } from '../watch-syncs.ts';

export function addSyncCommand(program: Command, context: CliContext): void {
  const sync = program.command('sync').argument('<codebase>', 'its id, or the end of its GitLab path')
    .description('have GitLab asked now, and wait for what comes of it')
    .option('--ref <ref>', 'one branch or full ref (default: all that are followed)');
  withCommonFlags(sync).action(async (named: string, { ref }: { ref?: string }) => {
    const { json, ...connection } = flagsOf(sync);
    const client = context.connect(connection);
    const codebase = await findCodebase(client, named);
    const known = (await client.refs(codebase.id)).refs.map((one) => one.ref);
    const wanted = ref === undefined ? undefined : fullRef(ref, known);
    const { cause } = await client.requestSync(codebase.id, wanted === undefined ? {} : { ref: wanted });
    const refs = wanted !== undefined ? [wanted] : known.length > 0 ? known : 'first';
    const syncs = await watchSyncs({ client, display: context.progress(), sleep: context.options.sleep }, { codebase: codebase.id, cause, refs });
    if (json === true) await context.printJson({ cause, syncs });
    await tellSyncs(context, syncs, { isJson: json === true });
  });
}

/** `main` is a branch; or the tag of that name, where we know one and no such branch. */
export function fullRef(ref: string, known: readonly RefName[]): RefName {
  if (ref.startsWith('refs/')) return ref as RefName;
  const tag = `refs/tags/${ref}` as RefName;
  const branch = `refs/heads/${ref}` as RefName;
  return known.includes(tag) && !known.includes(branch) ? tag : branch;
}

/** Says what became of each, and fails when one failed. */
export async function tellSyncs(context: CliContext, syncs: readonly SyncAnswer[], { isJson }: { isJson: boolean }): Promise<void> {
  if (syncs.some((sync) => sync.state === 'failed')) context.exitCode = EXIT.failed;
  if (!isJson) for (const sync of syncs) await context.output.print(`${inWords(sync)}\n`);
}

function inWords(sync: SyncAnswer): string {
  const ref = printable(shortRef(sync.ref));
  switch (sync.state) {
    case 'stored': return `${ref} is at ${sync.commit === null ? 'nothing: the repository is empty' : shortId(sync.commit)}, stored and verified: ${counted(sync.objectsAdded ?? 0, 'new object')}, ${elapsed(sync)}.`;
    case 'skipped': return `${ref}: nothing to do, ${SKIPPED[sync.reason ?? ''] ?? sync.reason}.`;
    case 'deleted': return `${ref} is gone in GitLab; what it held stays readable with --at.`;
    case 'failed': return `${ref} failed (${sync.reason}): ${printable(sync.detail ?? '')}\n  The engine tries again by itself, five times in all; then "tekai parked" shows it.`;
    case 'waiting':
    case 'fetched':
    case 'scanned': return `${ref} is under way.`;
    default: return sync.state satisfies never;
  }
}

const SKIPPED: Readonly<Record<string, string>> = {
  'up-to-date': 'GitLab has what is stored here',
  'newer-hint': 'a newer push or command brings it',
  'not-followed': 'this ref is not followed',
  'nothing-there': 'GitLab has no such ref',
  'codebase-archived': 'the codebase is archived ("tekai codebase restore" has it synced again)',
  'codebase-removed': 'the codebase is removed',
};

function elapsed({ begunAt, endedAt }: SyncAnswer): string {
  const ms = endedAt === null ? 0 : Date.parse(endedAt) - Date.parse(begunAt);
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}


import type { Command } from 'commander';
import type { RefList, VersionList } from '#schemas/api/versions.ts';
import { shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { ageInWords, table } from '../plain-text.ts';
import { limitOf } from '../whole-number.ts';

type Version = VersionList['versions'][number];
type Whence = Pick<Version, 'details' | 'broughtBy' | 'steps'>;

const SUBJECT_CHARS_SHOWN = 60;

export function addVersionCommands(program: Command, context: CliContext): void {
  const versions = program.command('versions').argument('<codebase>', 'its id, or the end of its GitLab path')
    .description('what its refs pointed to, newest first: who, what, when, and how long each step took')
    .option('--ref <ref>', 'of one ref, or of a pattern such as release/*')
    .option('--commit <id>', 'of one commit; its first 7 digits will do')
    .option('--limit <n>', 'how many', '20');
  withCommonFlags(versions).action(async (named: string, { ref, commit, limit }: { ref?: string; commit?: string; limit: string }) => {
    const { json, ...connection } = flagsOf(versions);
    const client = context.connect(connection);
    const { id } = await findCodebase(client, named);
    const found = await client.versions(id, { ref, commit, limit: limitOf(limit) });
    if (json === true) return context.printJson(found);
    if (found.length === 0) return context.note('Nothing of that is stored.');
    const now = context.options.now();
    await context.output.print(table(['REF', 'COMMIT', 'STORED', 'TOOK', 'AUTHOR', 'BY', 'SUBJECT'], found.map((one) =>
      [shortRef(one.ref), one.state === 'deleted' ? 'deleted' : commitOf(one.commit), ageInWords(one.storedAt, now), tookOf(one), authorOf(one), broughtOf(one), subjectOf(one)])));
  });

  const refs = program.command('refs').argument('<codebase>', 'its id, or the end of its GitLab path')
    .description('where its refs point')
    .option('--ref <pattern>', 'only these, such as release/*');
  withCommonFlags(refs).action(async (named: string, { ref }: { ref?: string }) => {
    const { json, ...connection } = flagsOf(refs);
    const client = context.connect(connection);
    const { id } = await findCodebase(client, named);
    const list = await client.refs(id, { ref });
    if (json === true) return context.printJson(list);
    if (list.refs.length === 0) return context.note('There is none, or nothing is stored yet.');
    const now = context.options.now();
    await context.output.print(table(['REF', 'COMMIT', 'STORED', 'GITLAB ASKED', 'STATE', 'AUTHOR', 'SUBJECT'], list.refs.map((one) =>
      [shortRef(one.ref), commitOf(one.commit), ageInWords(one.storedAt, now), ageInWords(one.observedAt, now), stateOf(one), authorOf(one), subjectOf(one)])));
  });
}

const commitOf = (commit: string | null) => (commit === null ? '-' : shortId(commit));
const tookOf = ({ steps }: Whence) => (steps?.totalMs === null || steps === null ? '-' : steps.totalMs < 1_000 ? `${steps.totalMs} ms` : `${(steps.totalMs / 1_000).toFixed(1)} s`);
const authorOf = ({ details }: Whence) => details?.author?.name ?? '-';
const subjectOf = ({ details }: Whence) => (details === null ? '' : details.subject.length > SUBJECT_CHARS_SHOWN ? `${details.subject.slice(0, SUBJECT_CHARS_SHOWN - 1)}…` : details.subject);
const stateOf = ({ isHintWaiting, isParked }: RefList['refs'][number]) => (isParked ? 'parked' : isHintWaiting ? 'syncing' : 'in sync');

function broughtOf({ broughtBy }: Whence): string {
  if (broughtBy === null) return '-';
  return BROUGHT[broughtBy.type ?? ''] ?? broughtBy.type ?? '-';
}

const BROUGHT: Readonly<Record<string, string>> = { 'push.received': 'push', 'sync.requested': 'command', 'codebase.registered': 'registration', 'sync.failed': 'retry' };

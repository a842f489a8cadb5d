import type { Command } from 'commander';
import type { CodebaseDetail, CodebaseSummary } from '#schemas/api/codebases.ts';
import type { SyncAnswer } from '#schemas/api/syncs.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { counted, shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase } from '../find-named.ts';
import { ageInWords, printable, table } from '../plain-text.ts';

/** Asked side by side. */
const DETAILS_AT_ONCE = 8;
const SYNCS_SHOWN = 5;
const REFS_SHOWN = 20;

export function addStatusCommand(program: Command, context: CliContext): void {
  const status = program.command('status').argument('[codebase]', 'its id, or the end of its GitLab path')
    .description('how fresh everything is; or one codebase, in detail');
  withCommonFlags(status).action(async (named: string | undefined) => {
    const { json, ...connection } = flagsOf(status);
    const client = context.connect(connection);
    if (named === undefined) return statusOfAll(context, client, json === true);
    await statusOfOne(context, client, { named, isJson: json === true });
  });
}

async function statusOfAll(context: CliContext, client: ApiClient, isJson: boolean): Promise<void> {
  const details: CodebaseDetail[] = [];
  const all: CodebaseSummary[] = [];
  for await (const one of client.codebases()) all.push(one);
  for (let at = 0; at < all.length; at += DETAILS_AT_ONCE) {
    details.push(...await Promise.all(all.slice(at, at + DETAILS_AT_ONCE).map((one) => client.codebase(one.id))));
  }
  if (isJson) return context.printJson(details);
  if (details.length === 0) return context.note(`The engine at ${client.url} is up, and follows no codebase yet. "tekai source add <url>" begins.`);
  const now = context.options.now();
  await context.output.print(table(['CODEBASE', 'HEAD', 'REFS', 'STORED', 'GITLAB ASKED', 'WEBHOOK', 'WATCHED BY', 'STATE'], details.map((one) =>
    [nameOf(one), headOf(one), String(one.refs), ageInWords(one.head?.storedAt ?? null, now), ageInWords(one.lastLook?.at ?? one.lastObservedAt, now), one.hook.state, one.state === 'archived' ? '-' : one.watchedBy, stateOf(one)])));
  const needy = details.filter((one) => one.parked.length > 0);
  if (needy.length > 0) context.note(`${counted(needy.length, 'codebase')} set aside: "tekai parked" tells why, "tekai redrive" tries again.`);
}

async function statusOfOne(context: CliContext, client: ApiClient, { named, isJson }: { named: string; isJson: boolean }): Promise<void> {
  const { id } = await findCodebase(client, named);
  const [detail, refs, syncs] = await Promise.all([client.codebase(id), client.refs(id), client.syncs({ codebase: id, limit: SYNCS_SHOWN })]);
  if (isJson) return context.printJson({ ...detail, refs: refs.refs, syncs });
  const now = context.options.now();
  const { hook, head } = detail;
  const lines = [
    ['codebase', nameOf(detail)], ['id', detail.id], ['state', stateOf(detail)],
    ['head', head === null ? 'nothing stored yet' : `${headOf(detail)}  commit ${head.commit ?? 'none'}  tree ${head.tree ?? 'none'}`],
    ['stored', ageInWords(head?.storedAt ?? null, now)], ['GitLab asked', `${ageInWords(head?.lastLook?.at ?? detail.lastObservedAt, now)}${head?.lastLook?.how === 'poll' ? ', by polling' : ''}`], ['last hint', ageInWords(detail.lastHintAt, now)],
    ['webhook', `${hook.state}${hook.isSigned === true ? ', signed' : ''}${hook.reason === null ? '' : `: ${hook.reason}`}${detail.hookTrouble === null ? '' : `; does not work: ${detail.hookTrouble}`}`],
    ['watched by', watcherOf(detail)],
    ['follows', [...detail.followed.branches, ...detail.followed.tags.map((tag) => `tag ${tag}`)].join(', ')],
    ...detail.parked.map((one) => ['parked', `by ${one.group}, ${ageInWords(one.since, now)}: ${one.reason}`]),
  ];
  await context.output.print(lines.map(([name = '', value = '']) => `${name.padEnd(14)}${printable(value)}\n`).join(''));
  if (refs.refs.length > 0) {
    await context.output.print(`\n${table(['REF', 'COMMIT', 'STORED'], refs.refs.slice(0, REFS_SHOWN).map((one) => [shortRef(one.ref), one.commit === null ? '-' : shortId(one.commit), ageInWords(one.storedAt, now)]))}`);
    if (refs.refs.length > REFS_SHOWN) await context.output.print(`and ${refs.refs.length - REFS_SHOWN} more\n`);
  }
  if (syncs.length > 0) await context.output.print(`\n${table(['LAST SYNCS', 'STATE', 'BEGUN', ''], syncs.map((one) => [shortRef(one.ref), one.state, ageInWords(one.begunAt, now), aboutSync(one)]))}`);
}

const nameOf = (one: CodebaseSummary) => one.path ?? `project ${one.gitlabProjectId}`;

function headOf({ head }: CodebaseDetail): string {
  if (head === null) return '-';
  return `${shortRef(head.ref)} ${head.commit === null ? '(empty)' : shortId(head.commit)}`;
}

function watcherOf({ state, watchedBy }: CodebaseDetail): string {
  if (state === 'archived') return 'nobody: an archived codebase is read, and not synced. "tekai codebase restore" has it synced again';
  return watchedBy === 'hook' ? 'its webhook' : 'polling: a push is found by looking';
}

function stateOf(one: CodebaseDetail): string {
  if (one.parked.length > 0) return 'parked';
  if (one.state === 'archived') return 'archived';
  if (one.unfolded > 0) return `incomplete: ${counted(one.unfolded, 'fact')} could not be read`;
  if (one.head === null) return 'first sync';
  return one.head.isHintWaiting ? 'syncing' : 'in sync';
}

function aboutSync({ reason, detail, progress, objectsAdded }: SyncAnswer): string {
  if (progress !== null) return `${progress.step} ${progress.objectsDone.toLocaleString('en')}${progress.objectsTotal === null ? '' : ` of ${progress.objectsTotal.toLocaleString('en')}`} objects`;
  if (reason !== null) return `${reason}${detail === null ? '' : `: ${detail}`}`;
  return objectsAdded === null ? '' : counted(objectsAdded, 'new object');
}

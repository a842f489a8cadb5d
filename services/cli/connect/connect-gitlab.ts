import type { ManualHook, SourceCheck } from '#schemas/api/sources.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { counted } from '#shared/api-client/describe-fact.ts';
import { addressOf, quotedForShell, tokenOf } from '../commands/source.ts';
import { secretFromFile } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { printable } from '../plain-text.ts';
import { openQuestions, type Questions } from './ask-line.ts';
import { awaitFirstSyncs, type FirstSyncs } from './await-first-syncs.ts';
import { groupLines, namedGroups, readGroupChoice } from './choose-groups.ts';
import { chooseProjects, previewLines, type Choice } from './choose-projects.ts';
import { createCountDisplay } from './count-display.ts';
import { connectAnswer, endLines } from './connect-answer.ts';
import { eachGroup, eachProject, type GitlabGroup, type GitlabProject } from './discover.ts';
import { explainCheck } from './explain-check.ts';
import { hearingOf, manualHookLines, unheardLines } from './explain-webhooks.ts';
import { accessOf, findKnownSource, refuseBadCheck, type AccessFlags, type KnownSource } from './find-source.ts';
import { registerProjects, type Registered, type Wanted } from './register-projects.ts';

export interface ConnectFlags extends AccessFlags {
  readonly tokenFile?: string;
  readonly name?: string;
  readonly group: readonly string[];
  readonly project: readonly string[];
  readonly all?: boolean;
  readonly exclude: readonly string[];
  readonly includeArchived?: boolean;
  readonly yes?: boolean;
  readonly wait: boolean;
}

/** What every step works with. */
interface Connecting {
  readonly context: CliContext;
  readonly client: ApiClient;
  readonly baseUrl: string;
  readonly flags: ConnectFlags;
  readonly isJson: boolean;
  /** A line for a person; none where a program reads. */
  say(lines: readonly string[]): Promise<void>;
}

/**
 * From an address to codebases that can be read: the source, the choice, the registrations, the first syncs.
 * Each step is whole in itself and finds what an earlier run did, so that Ctrl-C anywhere costs nothing but time. @throws CliError
 */
export async function connectGitlab(context: CliContext, { client, url, flags, isJson }: { client: ApiClient; url: string; flags: ConnectFlags; isJson: boolean }): Promise<void> {
  const isAsked = !isJson && context.options.stdin.isTTY === true;
  const isNamed = flags.all === true || flags.group.length > 0 || flags.project.length > 0;
  if (!isNamed && !isAsked) throw new CliError(EXIT.usage, 'Say what to follow: --group <path> or --project <path>, both may be repeated, or --all. (On a terminal, and without --json, you would be asked.)');
  const say = async (lines: readonly string[]) => { if (!isJson && lines.length > 0) await context.output.print(`${lines.join('\n')}\n`); };
  const connecting: Connecting = { context, client, baseUrl: addressOf(url), flags, isJson, say };

  const { source, check } = await ensureSource(connecting);
  const questions = isAsked ? openQuestions(context.options) : undefined;
  let chosen: { choice: Choice; named: Wanted[] };
  try {
    chosen = await choose(connecting, { source, questions });
    await confirm(connecting, { chosen, questions, check, source });
  } finally {
    questions?.close();
  }

  const { choice, named } = chosen;
  const wanted: Wanted[] = [...named, ...choice.follow.map(({ path, id }) => ({ path, gitlabProject: id }))];
  const registered = await register(connecting, { source, wanted });
  const restored = registered.filter((one) => one.kind === 'followed' && one.isRestored).map(({ path }) => printable(path));
  if (restored.length > 0) await say([`${counted(restored.length, 'project')} had been removed or archived, and ${restored.length === 1 ? 'is' : 'are'} restored with what was known of ${restored.length === 1 ? 'it' : 'them'}: ${restored.join(', ')}.`]);
  const firstSyncs = await firstSyncsOf(connecting, { choice, registered });
  await tellEnd(connecting, { source, check, choice, registered, firstSyncs });
}

async function ensureSource({ context, client, baseUrl, flags, say }: Connecting): Promise<{ source: KnownSource; check: SourceCheck | null }> {
  const known = await findKnownSource(client, { baseUrl, name: flags.name });
  if (known !== undefined) return changeKnown({ client, flags, say }, known);
  const token = await tokenOf(context, baseUrl, flags.tokenFile);
  const access = accessOf({ baseUrl, token, flags });
  const check = await client.checkSource(access);
  const lines = explainCheck(check, { host: new URL(baseUrl).host, now: context.options.now() });
  refuseBadCheck(check, lines);
  await say(lines);
  const name = flags.name ?? new URL(baseUrl).host;
  const { id } = await client.addSource({ ...access, name });
  return { source: { id, name, baseUrl }, check };
}

/** Only what is said on the command line changes a source: a token in the environment may be there for another. */
async function changeKnown({ client, flags, say }: Pick<Connecting, 'client' | 'flags' | 'say'>, known: KnownSource): Promise<{ source: KnownSource; check: null }> {
  const { baseUrl: _address, token: _token, ...way } = accessOf({ baseUrl: known.baseUrl, token: '', flags });
  const wanted = { ...way, ...(flags.tokenFile === undefined ? {} : { token: secretFromFile(flags.tokenFile) }) };
  const { changed } = Object.keys(wanted).length === 0 ? { changed: [] } : await client.changeSource(known.id, wanted);
  const name = `${printable(known.name)} (${known.baseUrl}) is known already`;
  await say([changed.length === 0 ? `${name}; its token and settings stay as they are.` : `${name}; GitLab took what was given, and it was changed: ${changed.join(', ')}.`]);
  return { source: known, check: null };
}

async function choose(connecting: Connecting, { source, questions }: { source: KnownSource; questions: Questions | undefined }): Promise<{ choice: Choice; named: Wanted[] }> {
  const { client, flags } = connecting;
  const scope = await scopeOf(connecting, { source, questions });
  const found: GitlabProject[] = [];
  for (const group of scope) for await (const project of eachProject(client, { source: source.id, group })) found.push(project);
  await addSizes(client, { sourceId: source.id, found });
  const choice = chooseProjects(found, { excludes: flags.exclude, includesArchived: flags.includeArchived === true });
  const listed = new Set([...choice.follow, ...choice.known].map(({ path }) => path.toLowerCase()));
  const named = flags.project.map((path) => path.replace(/^\/+|\/+$|\.git$/g, '')).filter((path) => !listed.has(path.toLowerCase())).map((path) => ({ path, gitlabProject: /^\d+$/.test(path) ? Number(path) : path }));
  return { choice, named };
}

/** GitLab tells sizes in no group's list, only in the list of all: looked at so far, a hundred to a request. */
const SIZES_LOOKED_AT_MAX = 2_000;

async function addSizes(client: ApiClient, { sourceId, found }: { sourceId: string; found: GitlabProject[] }): Promise<void> {
  const places = new Map(found.flatMap((project, at) => (project.repositoryBytes === null ? [[project.id, at] as const] : [])));
  let looked = 0;
  if (places.size === 0) return;
  for await (const { id, repositoryBytes } of eachProject(client, { source: sourceId, group: null })) {
    const [at, project] = [places.get(id), found[places.get(id) ?? -1]];
    if (at !== undefined && project !== undefined) found[at] = { ...project, repositoryBytes };
    places.delete(id);
    if (places.size === 0 || (looked += 1) >= SIZES_LOOKED_AT_MAX) return;
  }
}

/** The groups whose projects are listed; null stands for all that the token's user is a member of. */
async function scopeOf({ client, flags, say }: Connecting, { source, questions }: { source: KnownSource; questions: Questions | undefined }): Promise<readonly (string | null)[]> {
  if (flags.all === true) return [null];
  const isNamed = flags.group.length > 0 || flags.project.length > 0;
  if (isNamed && flags.group.length === 0) return [];
  const groups: GitlabGroup[] = [];
  for await (const group of eachGroup(client, source.id)) groups.push(group);
  groups.sort((a, b) => (a.path.toLowerCase() < b.path.toLowerCase() ? -1 : 1));
  if (isNamed) return namedGroups(flags.group, groups);
  if (questions === undefined) return [];
  if (groups.length === 0) {
    await say(['GitLab shows this token no group. Looking at all projects that its user is a member of.']);
    return [null];
  }
  await say([`${counted(groups.length, 'group')}:`, ...groupLines(groups)]);
  for (;;) {
    const choice = readGroupChoice(await questions.ask('Which groups, with all below them? Numbers like 1,3-5, paths, or "all": '), groups);
    switch (choice.kind) {
      case 'all': return [null];
      case 'groups': return choice.paths;
      case 'unclear': await say([choice.why]); break;
      default: choice satisfies never;
    }
  }
}

async function confirm(connecting: Connecting, { chosen: { choice, named }, questions, check, source }: { chosen: { choice: Choice; named: Wanted[] }; questions: Questions | undefined; check: SourceCheck | null; source: KnownSource }): Promise<void> {
  const { context, flags, say, isJson } = connecting;
  const total = choice.follow.length + named.length;
  const isOnlyNamed = named.length > 0 && choice.follow.length === 0 && choice.known.length === 0;
  await say([...(isOnlyNamed ? [] : previewLines(choice)), ...(named.length > 0 ? [`${counted(named.length, 'project')} by name: ${named.map(({ path }) => printable(path)).join(', ')}.`] : [])]);
  if (total === 0 || flags.yes === true) return;
  if (questions === undefined) {
    if (isJson) await context.printJson(connectAnswer({ source, check, choice, registered: [], firstSyncs: undefined, manualHook: null }));
    throw new CliError(EXIT.usage, 'Nothing is followed yet. Say --yes to follow these.');
  }
  const answer = (await questions.ask(`Follow ${total === 1 ? 'it' : `these ${total}`}? [Y/n] `)).toLowerCase();
  if (!['', 'y', 'yes'].includes(answer)) throw new CliError(EXIT.failed, `Nothing is followed. The GitLab stays known as ${printable(source.name)}; run the command again to choose otherwise.`);
}

async function register({ context, client, isJson }: Connecting, { source, wanted }: { source: KnownSource; wanted: readonly Wanted[] }): Promise<Registered[]> {
  if (wanted.length === 0) return [];
  const display = createCountDisplay(context.options, { isSilent: isJson, label: 'registered' });
  try {
    return await registerProjects({ client, sleep: context.options.sleep, onRegistered: (done) => display.moved(done, wanted.length) }, { sourceId: source.id, wanted });
  } finally {
    display.end();
  }
}

async function firstSyncsOf({ context, client, flags, isJson }: Connecting, { choice, registered }: { choice: Choice; registered: readonly Registered[] }): Promise<FirstSyncs | undefined> {
  const codebases = [...new Set([...registered.flatMap((one) => (one.kind === 'followed' ? [one.codebase] : [])), ...choice.known.flatMap(({ codebaseId }) => codebaseId ?? [])])];
  if (!flags.wait || codebases.length === 0) return undefined;
  const display = createCountDisplay(context.options, { isSilent: isJson, label: 'synced' });
  try {
    return await awaitFirstSyncs({ client, sleep: context.options.sleep, onProgress: ({ ended, of }) => display.moved(ended, of) }, codebases);
  } finally {
    display.end();
  }
}

interface End { readonly source: KnownSource; readonly check: SourceCheck | null; readonly choice: Choice; readonly registered: readonly Registered[]; readonly firstSyncs: FirstSyncs | undefined }

async function tellEnd({ context, client, baseUrl, isJson, say }: Connecting, end: End): Promise<void> {
  const hearing = hearingOf(end.firstSyncs?.codebases.values() ?? []);
  const hook = await client.manualHook(end.source.id);
  const unheard = unheardLines(end.check?.can.makeHooks === 'no' && hearing.refused === 0 ? { ...hearing, refused: end.registered.length, reason: 'the token may not.' } : hearing, { gitlab: baseUrl, hook: hook.url });
  const manualHook: ManualHook | null = unheard.length > 0 ? hook : null;
  const answer = connectAnswer({ ...end, manualHook });
  if (answer.projects.some(({ state }) => state !== 'synced' && state !== 'followed')) context.exitCode = EXIT.failed;
  if (isJson) return context.printJson(answer);
  await say(endLines(answer, { isWaitedFor: end.firstSyncs !== undefined }));
  await say(manualHook === null ? [] : [...unheard, ...manualHookLines(manualHook)]);
  const first = answer.projects.find(({ state }) => state === 'synced') ?? answer.projects.find(({ state }) => state === 'followed');
  if (first !== undefined) context.note(`Next: tekai ls ${quotedForShell(shortestName(first.path, answer.projects.map(({ path }) => path)))}`);
}

/** The end of the path, where no other codebase of these ends so. */
function shortestName(path: string, all: readonly string[]): string {
  const last = path.slice(path.lastIndexOf('/') + 1);
  return all.filter((other) => other === last || other.endsWith(`/${last}`)).length > 1 ? path : last;
}

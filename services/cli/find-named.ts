import type { CodebaseSummary } from '#schemas/api/codebases.ts';
import type { UserSummary } from '#schemas/api/identity.ts';
import type { ProjectSummary } from '#schemas/api/projects.ts';
import type { SourceAnswer } from '#schemas/api/sources.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { nearestName } from './nearest-name.ts';
import { printable } from './plain-text.ts';

/** More than these would scroll the message away. */
const CANDIDATES_SHOWN = 10;

/** A codebase by its id, its GitLab path, or an end of the path that no other has. @throws CliError */
export async function findCodebase(client: Pick<ApiClient, 'codebases'>, given: string): Promise<CodebaseSummary> {
  const all: CodebaseSummary[] = [];
  for await (const codebase of client.codebases()) all.push(codebase);
  if (all.length === 0) throw new CliError(EXIT.failed, `There is no codebase ${quoted(given)}: none is registered yet. "tekai codebase add <source> <path>" registers one.`);
  const name = given.replace(/^\/+|\/+$|\.git$/g, '').toLowerCase();
  const pathOf = (one: CodebaseSummary) => one.path?.toLowerCase() ?? '';
  for (const rule of [
    (one: CodebaseSummary) => one.id === name,
    (one: CodebaseSummary) => pathOf(one) === name,
    (one: CodebaseSummary) => pathOf(one).endsWith(`/${name}`),
  ]) {
    const found = all.filter(rule);
    if (found.length > 1) throw severalFound(given, found);
    if (found[0] !== undefined) return found[0];
  }
  for await (const one of client.codebases({ state: 'removed' })) {
    if (one.id === name || pathOf(one) === name) throw new CliError(EXIT.failed, `Codebase ${quoted(given)} was removed. "tekai codebase restore ${printable(given)}" brings it back, within seven days.`);
  }
  const paths = all.flatMap((one) => (one.path === null ? [] : [one.path]));
  const near = nearestName(name, [...paths, ...paths.map((path) => path.slice(path.lastIndexOf('/') + 1))]);
  throw new CliError(EXIT.failed, `There is no codebase ${quoted(given)}.${near === undefined ? '' : ` Did you mean ${quoted(near)}?`} "tekai codebase ls" lists them.`);
}

/** A source by its id or name. @throws CliError */
export async function findSource(client: Pick<ApiClient, 'sources'>, given: string): Promise<SourceAnswer> {
  const all = await client.sources();
  if (all.length === 0) throw new CliError(EXIT.failed, `There is no source ${quoted(given)}: none is registered yet. "tekai source add <url>" registers a GitLab.`);
  const same = (text: string) => text.toLowerCase() === given.toLowerCase();
  const found = all.filter((one) => one.id === given.toLowerCase());
  const named = found.length > 0 ? found : all.filter((one) => same(one.name) || same(one.baseUrl));
  if (named.length > 1) throw new CliError(EXIT.failed, `Several sources are called ${quoted(given)}. Say which by its id:\n${named.map((one) => `  ${one.id}  ${printable(one.baseUrl)}`).join('\n')}`);
  if (named[0] !== undefined) return named[0];
  const near = nearestName(given, all.map((one) => one.name));
  throw new CliError(EXIT.failed, `There is no source ${quoted(given)}.${near === undefined ? '' : ` Did you mean ${quoted(near)}?`} "tekai source ls" lists them.`);
}

/** A project of ours by its id or name. @throws CliError */
export async function findProject(client: Pick<ApiClient, 'projects'>, given: string, { orRemoved = false } = {}): Promise<ProjectSummary> {
  const all: ProjectSummary[] = [];
  for await (const one of client.projects()) all.push(one);
  if (orRemoved) for await (const one of client.projects({ state: 'removed' })) all.push(one);
  const found = all.filter((one) => one.id === given.toLowerCase());
  const named = found.length > 0 ? found : all.filter((one) => one.name.toLowerCase() === given.toLowerCase());
  if (named.length > 1) throw new CliError(EXIT.failed, `Several projects are called ${quoted(given)}. Say which by its id:\n${named.slice(0, CANDIDATES_SHOWN).map((one) => `  ${one.id}  ${one.state}`).join('\n')}`);
  if (named[0] !== undefined) return named[0];
  const near = nearestName(given, all.map((one) => one.name));
  throw new CliError(EXIT.failed, `There is no project ${quoted(given)}.${near === undefined ? '' : ` Did you mean ${quoted(near)}?`} "tekai project ls" lists them; "tekai project add <name>" begins one.`);
}

/** Who signs in, by id or name. @throws CliError */
export async function findUser(client: Pick<ApiClient, 'users'>, named: string): Promise<UserSummary> {
  const found = (await client.users()).find(({ id, name }) => id === named || name === named);
  if (found === undefined) throw new CliError(EXIT.failed, `There is no user "${printable(named)}". "tekai user ls" lists them.`);
  return found;
}

function severalFound(given: string, found: readonly CodebaseSummary[]): CliError {
  const lines = found.slice(0, CANDIDATES_SHOWN).map((one) => `  ${one.id}  ${printable(one.path ?? '')}`);
  if (found.length > CANDIDATES_SHOWN) lines.push(`  and ${found.length - CANDIDATES_SHOWN} more`);
  return new CliError(EXIT.failed, `${quoted(given)} may be any of these codebases. Say more of the path, or the id:\n${lines.join('\n')}`);
}

const quoted = (text: string) => `"${printable(text)}"`;

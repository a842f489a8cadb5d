import { runGitText, GitFailed } from './git-command.ts';

/** Refs of a repository: full name to object id. */
export type Refs = Map<string, string>;

export interface Commit {
  id: string;
  parentIds: string[];
  authorName: string;
  authorEmail: string;
  authoredDate: string;
  committerName: string;
  committerEmail: string;
  committedDate: string;
  message: string;
}

export interface NamedCommit {
  name: string;
  commit: Commit;
}

export interface TreeEntry {
  mode: string;
  type: string;
  id: string;
  path: string;
}

/** NUL between fields: names and messages may hold everything else. */
const LOG_FIELDS = ['%H', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B'].join('%x00');
const LOG_FIELD_COUNT = 9;

export async function readRefs(repository: string, prefix = ''): Promise<Refs> {
  const text = await runGitText({ args: ['-C', repository, 'for-each-ref', '--format=%(objectname) %(refname)', ...(prefix ? [prefix] : [])] });
  const refs: Refs = new Map();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) refs.set(line.slice(space + 1), line.slice(0, space));
  }
  return refs;
}

export function zeroId(objectFormat: string): string {
  return '0'.repeat(objectFormat === 'sha256' ? 64 : 40);
}

/** Full object id of what a revision names, or null. Never lets a name be read as an option. */
export async function resolveRevision(repository: string, revision: string): Promise<string | null> {
  if (revision === '' || revision.includes('\0')) return null;
  try {
    const text = await runGitText({ args: ['-C', repository, 'rev-parse', '--verify', '--quiet', '--end-of-options', revision] });
    // A full id is echoed back by rev-parse whether or not the object exists; callers check the type next.
    return text.trim().split('\n').at(-1) ?? null;
  } catch (error) {
    if (error instanceof GitFailed) return null;
    throw error;
  }
}

export async function resolveCommit(repository: string, revision: string): Promise<string | null> {
  return resolveRevision(repository, `${revision}^{commit}`);
}

/** The commits themselves, in the order asked for; one process for all of them. */
export async function readCommits(repository: string, ids: string[]): Promise<Commit[]> {
  if (ids.length === 0) return [];
  const args = ['-C', repository, 'log', '-z', '--no-walk=unsorted', '--stdin', `--format=${LOG_FIELDS}`];
  return parseCommits(await runGitText({ args, input: `${ids.join('\n')}\n` }));
}

export interface LogQuery {
  tips: string[];
  limit: number;
  skip?: number;
  options?: string[];
  path?: string;
}

/** History from some tips (`^id` excludes), newest first. */
export async function readLog(repository: string, query: LogQuery): Promise<Commit[]> {
  const args = ['-C', repository, 'log', '-z', '--stdin', `--format=${LOG_FIELDS}`, `--max-count=${query.limit}`, `--skip=${query.skip ?? 0}`, ...(query.options ?? [])];
  // Paths go in by stdin too, after the tips: git reads them literally there only with this variable set.
  const input = `${query.tips.join('\n')}\n${query.path === undefined ? '' : `--\n${query.path}\n`}`;
  return parseCommits(await runGitText({ args, input, environment: { GIT_LITERAL_PATHSPECS: '1' } }));
}

export async function countCommits(repository: string, tips: string[]): Promise<number> {
  const text = await runGitText({ args: ['-C', repository, 'rev-list', '--count', '--stdin'], input: `${tips.join('\n')}\n` });
  return Number.parseInt(text, 10);
}

function parseCommits(text: string): Commit[] {
  const fields = text.split('\0');
  const commits: Commit[] = [];
  for (let at = 0; at + LOG_FIELD_COUNT <= fields.length; at += LOG_FIELD_COUNT) {
    const [id = '', parents = '', authorName = '', authorEmail = '', authoredDate = '', committerName = '', committerEmail = '', committedDate = '', message = ''] =
      fields.slice(at, at + LOG_FIELD_COUNT);
    const parentIds = parents === '' ? [] : parents.split(' ');
    // `log -z` ends each message with one line break of its own.
    commits.push({ id: id.trim(), parentIds, authorName, authorEmail, authoredDate, committerName, committerEmail, committedDate, message: message.replace(/\n$/, '') });
  }
  return commits;
}

/** Every branch with its commit: two processes, however many branches. */
export async function readBranches(repository: string, refs: Refs): Promise<NamedCommit[]> {
  const named = [...refs].filter(([ref]) => ref.startsWith('refs/heads/'));
  const commits = new Map<string, Commit>();
  for (const commit of await readCommits(repository, [...new Set(named.map(([, id]) => id))])) commits.set(commit.id, commit);
  return named.flatMap(([ref, id]) => {
    const commit = commits.get(id);
    return commit ? [{ name: ref.slice('refs/heads/'.length), commit }] : [];
  });
}

/** Which of the branches have nothing that the given commit has not. */
export async function mergedInto(repository: string, id: string): Promise<Set<string>> {
  const text = await runGitText({ args: ['-C', repository, 'for-each-ref', `--merged=${id}`, '--format=%(refname)', 'refs/heads/'] });
  return new Set(text.split('\n').filter((line) => line !== ''));
}

/** True if the commit can be reached from any of the tips. */
export async function isReachable(repository: string, id: string, tips: string[]): Promise<boolean> {
  if (tips.length === 0) return false;
  const input = `${id}\n${tips.map((tip) => `^${tip}`).join('\n')}\n`;
  const text = await runGitText({ args: ['-C', repository, 'rev-list', '--max-count=1', '--stdin'], input });
  return text.trim() === '';
}

export async function objectType(repository: string, id: string): Promise<string | null> {
  const text = await runGitText({ args: ['-C', repository, 'cat-file', '--batch-check=%(objecttype)'], input: `${id}\n` });
  const type = text.trim();
  return /^(blob|tree|commit|tag)$/.test(type) ? type : null;
}

export async function objectSize(repository: string, id: string): Promise<number> {
  return Number.parseInt(await runGitText({ args: ['-C', repository, 'cat-file', '-s', id] }), 10);
}

export async function readTree(repository: string, treeish: string, isRecursive: boolean): Promise<TreeEntry[]> {
  const args = ['-C', repository, 'ls-tree', '-z', ...(isRecursive ? ['-r', '-t'] : []), treeish];
  const text = await runGitText({ args });
  return text.split('\0').flatMap((line) => {
    const match = /^(\d+) (\w+) ([0-9a-f]+)\t/.exec(line);
    if (!match) return [];
    return [{ mode: match[1] ?? '', type: match[2] ?? '', id: match[3] ?? '', path: line.slice(match[0].length) }];
  });
}

/** How the paths of each commit differ from its first parent; a rename is a removal and an addition. */
export interface PathChanges {
  added: string[];
  modified: string[];
  removed: string[];
}

export async function readPathChanges(repository: string, ids: string[]): Promise<Map<string, PathChanges>> {
  const args = ['-C', repository, 'diff-tree', '--stdin', '-r', '-m', '--diff-merges=first-parent', '--root', '--no-renames', '--name-status', '-z'];
  const tokens = (await runGitText({ args, input: `${ids.join('\n')}\n` })).split('\0');
  const found = new Map<string, PathChanges>(ids.map((id) => [id, { added: [], modified: [], removed: [] }]));
  let current: PathChanges = { added: [], modified: [], removed: [] };
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (token.length >= 40) {
      current = found.get(token) ?? current;
      continue;
    }
    const path = tokens[(at += 1)];
    if (path === undefined) break;
    if (token === 'A') current.added.push(path);
    else if (token === 'D') current.removed.push(path);
    else current.modified.push(path);
  }
  return found;
}

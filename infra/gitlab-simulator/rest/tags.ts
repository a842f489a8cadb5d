import { GitFailed, runGit, runGitText } from '../git/git-command.ts';
import { recordPush } from '../git/record-push.ts';
import { readCommits, type Commit } from '../git/repository.ts';
import { badRequest, empty, json, notFound } from '../http/answer.ts';
import { isKeyset, offsetPage, tokenKeysetPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { DEVELOPER } from '../state/access.ts';
import type { Project } from '../state/records.ts';
import { findProjectAtLeast, findProjectWithCode } from './find.ts';
import { showCommit } from './shapes.ts';
import { commitOf, refsOf, viewOf, type RepositoryView } from './view.ts';

interface Tag {
  name: string;
  /** The tag object of an annotated tag, else the commit. */
  target: string;
  message: string;
  createdAt: string | null;
  commit: Commit | null;
}

export function tagRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects/:id/repository/tags', endpoint: (call) => listTags(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/tags/:tag', endpoint: (call) => showOneTag(instance, call) },
    { method: 'POST', pattern: '/projects/:id/repository/tags', endpoint: (call) => createTag(instance, call) },
    { method: 'DELETE', pattern: '/projects/:id/repository/tags/:tag', endpoint: (call) => deleteTag(instance, call) },
  ];
}

async function readTags(view: RepositoryView, pattern: string): Promise<Tag[]> {
  const shown = await refsOf(view, pattern);
  const format = ['%(refname)', '%(objectname)', '%(*objectname)', '%(objecttype)', '%(taggerdate:iso-strict)', '%(contents)'].join('%00');
  const text = await runGitText({ args: ['-C', view.repository, 'for-each-ref', `--format=${format}%00`, pattern] });
  const fields = text.split('\0');
  const tags: (Tag & { commitId: string })[] = [];
  for (let at = 0; at + 6 <= fields.length; at += 6) {
    const [ref = '', target = '', peeled = '', type = '', createdAt = '', contents = ''] = fields.slice(at, at + 6);
    const name = ref.trim().slice('refs/tags/'.length);
    if (!shown.has(`refs/tags/${name}`)) continue;
    const isAnnotated = type === 'tag';
    tags.push({ name, target, message: isAnnotated ? contents.trimEnd() : '', createdAt: isAnnotated ? createdAt : null, commit: null, commitId: peeled || target });
  }
  const commits = new Map((await readCommits(view.repository, [...new Set(tags.map((tag) => tag.commitId))])).map((commit) => [commit.id, commit]));
  return tags.map(({ commitId, ...tag }) => ({ ...tag, commit: commits.get(commitId) ?? null }));
}

function showTag(instance: Instance, project: Project, tag: Tag): Record<string, unknown> {
  return {
    name: tag.name,
    message: tag.message,
    target: tag.target,
    commit: tag.commit ? showCommit(instance, project, tag.commit) : null,
    release: null,
    protected: false,
    created_at: tag.createdAt,
  };
}

async function listTags(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const search = call.input.text('search')?.toLowerCase();
  const tags = (await readTags(viewOf(instance, project), 'refs/tags/')).filter((tag) => search === undefined || tag.name.toLowerCase().includes(search));
  const isByName = call.input.text('order_by') === 'name';
  const sign = call.input.text('sort') === 'asc' ? 1 : -1;
  const keyOf = (tag: Tag): string => (isByName ? tag.name : `${tag.commit?.committedDate ?? ''} ${tag.name}`);
  tags.sort((a, b) => (keyOf(a) < keyOf(b) ? -sign : sign));
  const show = (tag: Tag): unknown => showTag(instance, project, tag);
  return isKeyset(call) ? tokenKeysetPage(call, tags, { tokenOf: (tag) => tag.name, show }) : offsetPage(call, tags, show);
}

async function showOneTag(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  return json(showTag(instance, project, await findTag(viewOf(instance, project), call.path['tag'] ?? '')));
}

async function findTag(view: RepositoryView, name: string): Promise<Tag> {
  const tag = (await readTags(view, `refs/tags/${name}`)).find((one) => one.name === name);
  if (!tag) throw notFound('Tag');
  return tag;
}

async function createTag(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, DEVELOPER);
  const view = viewOf(instance, project);
  const name = call.input.required('tag_name');
  const target = await commitOf(view, call.input.required('ref'));
  if (target === null) throw badRequest('Target ' + call.input.required('ref') + ' is invalid');
  if ((await refsOf(view, `refs/tags/${name}`)).has(`refs/tags/${name}`)) throw badRequest(`Tag ${name} already exists`);
  const message = call.input.text('message') ?? '';
  const user = call.caller?.user;
  const identity = { GIT_COMMITTER_NAME: user?.name ?? 'GitLab', GIT_COMMITTER_EMAIL: user?.email ?? 'gitlab@example.com' };
  const repository = repositoryOf(instance, project);
  const args = message === '' ? ['-C', repository, 'update-ref', `refs/tags/${name}`, target] : ['-C', repository, 'tag', '-a', '-F', '-', '--', name, target];
  try {
    await recordPush(instance, { project, user: user ?? null }, () => runGit({ args, input: message, environment: identity }));
  } catch (error) {
    if (error instanceof GitFailed) throw badRequest('Tag name invalid');
    throw error;
  }
  return json(showTag(instance, project, await findTag(viewOf(instance, project), name)), 201);
}

async function deleteTag(instance: Instance, call: Call) {
  const project = findProjectAtLeast(instance, call, DEVELOPER);
  const tag = await findTag(viewOf(instance, project), call.path['tag'] ?? '');
  await recordPush(instance, { project, user: call.caller?.user ?? null }, () => runGit({ args: ['-C', repositoryOf(instance, project), 'update-ref', '-d', `refs/tags/${tag.name}`] }));
  return empty();
}

import { runGitText } from '../git/git-command.ts';
import { readCommits, readLog } from '../git/repository.ts';
import { json, notFound } from '../http/answer.ts';
import { offsetHeaders, offsetPage, readPage } from '../http/paging.ts';
import type { Call, Route } from '../http/router.ts';
import type { Instance } from '../instance.ts';
import { readDiffs } from './diffs.ts';
import { findProjectWithCode } from './find.ts';
import { showCommit } from './shapes.ts';
import { commitOf, refsOf, requireCommit, viewOf } from './view.ts';

export function commitRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects/:id/repository/commits', endpoint: (call) => listCommits(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/commits/:sha', endpoint: (call) => showOneCommit(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/commits/:sha/diff', endpoint: (call) => showDiff(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/commits/:sha/refs', endpoint: (call) => showRefs(instance, call) },
  ];
}

/** Offset pages without totals: GitLab does not count commits. */
async function listCommits(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const page = readPage(call);
  const isAll = call.input.flag('all') === true;
  const tips = isAll ? [...(await refsOf(view, 'refs/')).values()] : [await requireCommit(view, call.input.text('ref_name'))];
  const options = [
    ...(call.input.text('since') ? [`--since=${call.input.text('since')}`] : []),
    ...(call.input.text('until') ? [`--until=${call.input.text('until')}`] : []),
    ...(call.input.flag('first_parent') ? ['--first-parent'] : []),
    ...(call.input.text('order') === 'topo' ? ['--topo-order'] : []),
  ];
  const path = call.input.text('path');
  const query = { tips, limit: page.perPage + 1, skip: (page.page - 1) * page.perPage, options, ...(path ? { path } : {}) };
  const commits = tips.length === 0 ? [] : await readLog(view.repository, query);
  const hasMore = commits.length > page.perPage;
  const shown = commits.slice(0, page.perPage).map((commit) => showCommit(instance, project, commit));
  return json(shown, 200, offsetHeaders(call, page, { total: null, hasMore }));
}

async function showOneCommit(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const id = await requireCommit(view, call.path['sha']);
  const [commit] = await readCommits(view.repository, [id]);
  if (!commit) throw notFound('Commit');
  const isWithStats = call.input.flag('stats') ?? true;
  return json({
    ...showCommit(instance, project, commit),
    ...(isWithStats ? { stats: await readStats(view.repository, id) } : {}),
    status: null,
    project_id: project.id,
    last_pipeline: null,
  });
}

async function readStats(repository: string, id: string): Promise<{ additions: number; deletions: number; total: number }> {
  const text = await runGitText({ args: ['-C', repository, 'diff-tree', '--root', '-m', '--diff-merges=first-parent', '--shortstat', id] });
  const additions = Number(/(\d+) insertion/.exec(text)?.[1] ?? 0);
  const deletions = Number(/(\d+) deletion/.exec(text)?.[1] ?? 0);
  return { additions, deletions, total: additions + deletions };
}

async function showDiff(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const id = await requireCommit(view, call.path['sha']);
  const [commit] = await readCommits(view.repository, [id]);
  const from = commit?.parentIds[0] ?? null;
  const { diffs } = await readDiffs(view.repository, { from, to: id, filesMax: instance.state.settings().compareFilesMax, objectFormat: project.objectFormat });
  return offsetPage(call, diffs, (diff) => diff);
}

async function showRefs(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const id = await commitOf(view, call.path['sha']);
  if (id === null) throw notFound('Commit');
  const text = await runGitText({ args: ['-C', view.repository, 'for-each-ref', `--contains=${id}`, '--format=%(refname)', 'refs/heads/', 'refs/tags/'] });
  const refs = text.split('\n').filter((ref) => ref !== '');
  return offsetPage(call, refs, (ref) => (ref.startsWith('refs/heads/') ? { type: 'branch', name: ref.slice('refs/heads/'.length) } : { type: 'tag', name: ref.slice('refs/tags/'.length) }));
}

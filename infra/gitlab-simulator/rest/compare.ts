import { runGitText, GitFailed } from '../git/git-command.ts';
import { readCommits, readLog } from '../git/repository.ts';
import { invalidParameter, json, notFound } from '../http/answer.ts';
import type { Call, Route } from '../http/router.ts';
import { webUrl } from '../hooks/push-payload.ts';
import type { Instance } from '../instance.ts';
import { readDiffs } from './diffs.ts';
import { findProjectWithCode } from './find.ts';
import { showCommit } from './shapes.ts';
import { requireCommit, viewOf } from './view.ts';

const COMMITS_MAX = 1_000;

export function compareRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects/:id/repository/compare', endpoint: (call) => compare(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/merge_base', endpoint: (call) => mergeBase(instance, call) },
  ];
}

/** From the merge base by default; `straight` compares the two as they are. A cut list of files is only told by `compare_timeout`. */
async function compare(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const [fromName, toName] = [call.input.required('from'), call.input.required('to')];
  const [from, to] = [await requireCommit(view, fromName, 'Ref'), await requireCommit(view, toName, 'Ref')];
  const isStraight = call.input.flag('straight') === true;
  const base = isStraight ? from : await mergeBaseOf(view.repository, [from, to]);
  const commits = await readLog(view.repository, { tips: [to, `^${from}`], limit: COMMITS_MAX });
  const { diffs, isOverflow } = await readDiffs(view.repository, { from: base, to, filesMax: instance.state.settings().compareFilesMax, objectFormat: project.objectFormat });
  const newest = commits[0];
  return json({
    commit: newest ? showCommit(instance, project, newest) : null,
    commits: commits.reverse().map((commit) => showCommit(instance, project, commit)),
    diffs,
    compare_timeout: isOverflow,
    compare_same_ref: from === to,
    web_url: `${webUrl(instance, project)}/-/compare/${from}${isStraight ? '..' : '...'}${to}`,
  });
}

async function mergeBase(instance: Instance, call: Call) {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const names = call.input.list('refs');
  if (names.length < 2) throw invalidParameter('Provide at least 2 refs');
  const ids: string[] = [];
  for (const name of names) ids.push(await requireCommit(view, name, 'Ref'));
  const base = await mergeBaseOf(view.repository, ids);
  const [commit] = base === null ? [] : await readCommits(view.repository, [base]);
  if (!commit) throw notFound('Merge Base');
  return json(showCommit(instance, project, commit));
}

async function mergeBaseOf(repository: string, ids: string[]): Promise<string | null> {
  try {
    return (await runGitText({ args: ['-C', repository, 'merge-base', '--octopus', ...ids] })).trim().split('\n')[0] ?? null;
  } catch (error) {
    // 1: histories that share nothing.
    if (error instanceof GitFailed && error.code === 1) return null;
    throw error;
  }
}

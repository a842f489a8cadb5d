import { pipeline } from 'node:stream';
import { createGzip } from 'node:zlib';

import { spawnGit } from '../git/git-command.ts';
import { notFound, type Answer } from '../http/answer.ts';
import type { Call, Route } from '../http/router.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import { findProjectWithCode } from './find.ts';
import { commitOf, viewOf } from './view.ts';

const FORMATS: Record<string, { git: 'tar' | 'zip'; isGzip: boolean; type: string }> = {
  'tar.gz': { git: 'tar', isGzip: true, type: 'application/gzip' },
  tgz: { git: 'tar', isGzip: true, type: 'application/gzip' },
  tar: { git: 'tar', isGzip: false, type: 'application/x-tar' },
  zip: { git: 'zip', isGzip: false, type: 'application/zip' },
};

export function archiveRoutes(instance: Instance): Route[] {
  const limit = 'project_repositories_archive';
  return [
    { method: 'GET', pattern: '/projects/:id/repository/archive', limit, endpoint: (call) => archive(instance, call, 'tar.gz') },
    ...Object.keys(FORMATS).map((format): Route => ({ method: 'GET', pattern: `/projects/:id/repository/archive.${format}`, limit, endpoint: (call) => archive(instance, call, format) })),
  ];
}

/** `git archive` as it is, with all that changes bytes there. Whatever goes wrong is "404 File Not Found". */
async function archive(instance: Instance, call: Call, format: string): Promise<Answer> {
  const project = findProjectWithCode(instance, call);
  const view = viewOf(instance, project);
  const ref = call.input.text('sha') ?? project.defaultBranch;
  const commit = await commitOf(view, ref);
  const chosen = FORMATS[format];
  if (commit === null || !chosen) throw notFound('File');
  const path = call.input.text('path');
  const dashed = (text: string): string => text.replaceAll('/', '-');
  const prefix = [project.path, dashed(ref), commit, ...(path ? [dashed(path)] : [])].join('-');
  const args = ['-C', repositoryOf(instance, project), 'archive', `--format=${chosen.git}`, `--prefix=${prefix}/`, commit, ...(path ? ['--', path] : [])];
  const child = spawnGit(args, { GIT_LITERAL_PATHSPECS: '1' });
  child.stdin.end();
  child.stderr.resume();
  const headers = { 'Content-Type': chosen.type, 'Content-Disposition': `attachment; filename="${encodeURIComponent(prefix)}.${format}"`, 'Cache-Control': 'max-age=60, private' };
  const body = chosen.isGzip ? pipeline(child.stdout, createGzip(), () => undefined) : child.stdout;
  return { kind: 'stream', status: 200, body, headers };
}

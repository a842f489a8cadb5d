import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

import { runGit, spawnGit } from '../git/git-command.ts';
import { objectSize, objectType, readLog, resolveRevision } from '../git/repository.ts';
import { ApiError, invalidParameter, json, notFound, type Answer, type Headers } from '../http/answer.ts';
import type { Call, Route } from '../http/router.ts';
import { repositoryOf, type Instance } from '../instance.ts';
import type { Project } from '../state/records.ts';
import { findProjectWithCode } from './find.ts';
import { commitOf, isObject, viewOf } from './view.ts';

/** The files API is the one place of REST that `read_repository` opens. */
const FILE_SCOPES = ['api', 'read_api', 'read_repository'];
const LARGE_BLOB_BYTES = 10 * 1024 * 1024;

export function fileRoutes(instance: Instance): Route[] {
  return [
    { method: 'GET', pattern: '/projects/:id/repository/blobs/:sha', endpoint: (call) => showBlob(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/blobs/:sha/raw', endpoint: (call) => showBlobRaw(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/files/:path', scopes: FILE_SCOPES, endpoint: (call) => showFile(instance, call) },
    { method: 'GET', pattern: '/projects/:id/repository/files/:path/raw', scopes: FILE_SCOPES, endpoint: (call) => showFileRaw(instance, call) },
  ];
}

async function findBlob(instance: Instance, call: Call): Promise<{ repository: string; sha: string; size: number }> {
  const project = findProjectWithCode(instance, call);
  const sha = call.path['sha'] ?? '';
  if (!(await isObject(viewOf(instance, project), sha, 'blob'))) throw notFound('Blob');
  const repository = repositoryOf(instance, project);
  const size = await objectSize(repository, sha);
  const limit = instance.state.settings().applicationLimits['large_blob_download'];
  if (size > LARGE_BLOB_BYTES && !instance.throttle.isWithin('large_blob_download', `${project.id}`, limit)) {
    throw new ApiError(429, { message: { error: 'This endpoint has been requested too many times. Try again later.' } });
  }
  return { repository, sha, size };
}

async function showBlob(instance: Instance, call: Call) {
  const { repository, sha, size } = await findBlob(instance, call);
  const content = await runGit({ args: ['-C', repository, 'cat-file', 'blob', sha] });
  return json({ size, encoding: 'base64', content: content.toString('base64'), sha });
}

async function showBlobRaw(instance: Instance, call: Call) {
  const { repository, sha, size } = await findBlob(instance, call);
  return rawAnswer(call, { repository, sha, size }, { 'Content-Disposition': 'inline' });
}

interface FoundFile {
  project: Project;
  repository: string;
  sha: string;
  size: number;
  headers: Headers;
  fields: Record<string, unknown>;
}

async function findFile(instance: Instance, call: Call): Promise<FoundFile> {
  const project = findProjectWithCode(instance, call);
  const path = call.path['path'] ?? '';
  const ref = call.input.text('ref') ?? (call.url.pathname.endsWith('/raw') ? 'HEAD' : undefined);
  if (ref === undefined) throw invalidParameter('ref is missing');
  const view = viewOf(instance, project);
  const commit = await commitOf(view, ref === 'HEAD' ? undefined : ref);
  if (commit === null) throw notFound('Commit');
  const sha = await resolveRevision(view.repository, `${commit}:${path}`);
  if (sha === null || (await objectType(view.repository, sha)) !== 'blob') throw notFound('File');
  const content = await runGit({ args: ['-C', view.repository, 'cat-file', 'blob', sha] });
  const [last] = await readLog(view.repository, { tips: [commit], limit: 1, path });
  const listed = await runGit({ args: ['-C', view.repository, 'ls-tree', '-z', commit, '--', path], environment: { GIT_LITERAL_PATHSPECS: '1' } });
  const fields = {
    file_name: path.slice(path.lastIndexOf('/') + 1),
    file_path: path,
    size: content.length,
    encoding: 'base64',
    content_sha256: createHash('sha256').update(content).digest('hex'),
    ref,
    blob_id: sha,
    commit_id: commit,
    last_commit_id: last?.id ?? commit,
    execute_filemode: listed.toString('utf8').startsWith('100755'),
  };
  return { project, repository: view.repository, sha, size: content.length, headers: fileHeaders(fields), fields: { ...fields, content: content.toString('base64') } };
}

/** `blob_id` becomes X-Gitlab-Blob-Id. Header values are bytes: names outside of Latin go percent-encoded, as Ruby's server sends none at all. */
function fileHeaders(fields: Record<string, unknown>): Headers {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const header = `X-Gitlab-${name.split('_').map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('-')}`;
      return [header, String(value).replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character))];
    }),
  );
}

async function showFile(instance: Instance, call: Call) {
  const file = await findFile(instance, call);
  return json(file.fields, 200, file.headers);
}

async function showFileRaw(instance: Instance, call: Call) {
  const file = await findFile(instance, call);
  const name = encodeURIComponent(String(file.fields['file_name']));
  return rawAnswer(call, file, { ...file.headers, 'Content-Disposition': `inline; filename*=UTF-8''${name}` });
}

/** Declared as text whatever it holds; nobody may decode by it. Streamed: a blob may be larger than our memory. */
function rawAnswer(call: Call, blob: { repository: string; sha: string; size: number }, headers: Headers): Answer {
  const all: Headers = { 'Content-Type': 'text/plain', 'Content-Length': blob.size, 'Cache-Control': 'no-cache, no-store, max-age=0, must-revalidate', ...headers };
  if (call.method === 'HEAD') return { kind: 'empty', status: 200, headers: all };
  return { kind: 'stream', status: 200, body: catBlob(blob.repository, blob.sha), headers: all };
}

function catBlob(repository: string, sha: string): Readable {
  const child = spawnGit(['-C', repository, 'cat-file', 'blob', sha]);
  child.stdin.end();
  child.stderr.resume();
  return child.stdout;
}

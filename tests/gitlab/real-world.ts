import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gitlabProjectId } from '#schemas/brand.ts';
import { createWorktree, type SimulatedGitLab } from '#shared/gitlab/simulated-gitlab.contract.ts';
import { accessOf, must, restOf, type Target } from './target.ts';

/** A test asked for what only the simulator can do: a fault, another version, a look into its log. */
export class OnlySimulated extends Error {
  override readonly name = 'OnlySimulated';
}

/** What the suites of the ports run in, made of a GitLab that is not ours: its projects lie in the scratch group. */
export async function startRealGitLab(target: Target, scratch: { path: string; id: number }): Promise<SimulatedGitLab> {
  const folder = await mkdtemp(join(tmpdir(), 'tekai-real-gitlab-'));
  const rest = restOf(target);
  let namespace: { path: string; id: number } | undefined;
  /** Each suite has a group of its own: both have a project "demo". */
  const ownGroup = async () => {
    const path = `suite-${Date.now().toString(36)}`;
    const made = await must(rest('POST', '/groups', { name: path, path, parent_id: scratch.id, visibility: 'private' }), 'make a group') as { id: number; full_path: string };
    return { id: made.id, path: made.full_path };
  };
  return {
    url: target.url,
    access: accessOf(target),
    folder,
    async admin(method, path) {
      // There are none to clear.
      if (method === 'DELETE' && path === '/faults') return undefined as never;
      throw new OnlySimulated(`${method} ${path} of the simulator`);
    },
    rest: (path) => must(rest('GET', path), `get ${path}`),
    async project(path, { objectFormat = 'sha1' } = {}) {
      namespace ??= await ownGroup();
      const made = await must(rest('POST', '/projects', { name: path, path, namespace_id: namespace.id, visibility: 'private', ...(objectFormat === 'sha256' ? { repository_object_format: 'sha256' } : {}) }), `make the project ${path}`) as { id: number; http_url_to_repo: string; path_with_namespace: string; repository_object_format?: string };
      if (objectFormat === 'sha256' && made.repository_object_format !== 'sha256') throw new OnlySimulated('a repository with SHA-256 ids, which this GitLab does not make');
      return { id: gitlabProjectId.parse(made.id), url: made.http_url_to_repo, path: made.path_with_namespace, worktree: await createWorktree(join(folder, `work-${path}`), { remote: remoteOf(target, made.path_with_namespace), objectFormat, environment: gitEnvironment(target) }) };
    },
    requests: () => Promise.reject(new OnlySimulated('the log of requests')),
    stop: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

export function remoteOf({ url, token }: Target, projectPath: string): string {
  return `${url.replace('://', `://oauth2:${encodeURIComponent(token)}@`)}/${projectPath}.git`;
}

export function gitEnvironment({ caFile, proxyUrl }: Target): Record<string, string> {
  return { GIT_TERMINAL_PROMPT: '0', ...(caFile === undefined ? {} : { GIT_SSL_CAINFO: caFile }), ...(proxyUrl === undefined ? {} : { http_proxy: proxyUrl, https_proxy: proxyUrl }) };
}

/** From here on a test that needs the simulator counts as passed, and is written down as not tried. */
export function noteWhatIsOnlySimulated(notesFile: string): void {
  const real = globalThis.test;
  const noting = (name: string, body: (...args: unknown[]) => unknown) => async (...args: unknown[]) => {
    try {
      await body(...args);
    } catch (error) {
      if (!isOnlySimulated(error)) throw error;
      appendFileSync(notesFile, `${JSON.stringify({ name, why: (error as Error).message })}\n`);
    }
  };
  const wrapped = (name: string, body: () => unknown, ms?: number) => real(name, noting(name, body) as () => Promise<void>, ms);
  const each = (rows: readonly unknown[]) => (name: string, body: (...args: unknown[]) => unknown, ms?: number) => {
    for (const row of rows) {
      const values = Array.isArray(row) ? row : [row];
      const said = values.reduce<string>((text, value) => text.replace(/%[sd]/, String(value)), name);
      real(said, () => noting(said, body)(...values), ms);
    }
  };
  globalThis.test = Object.assign(wrapped, real, { each }) as unknown as typeof globalThis.test;
}

/** Also when an assertion met it where another error was expected: then the test had asked for it, too. */
function isOnlySimulated(error: unknown): boolean {
  const { name, message, matcherResult, cause } = error as { name?: string; message?: string; matcherResult?: unknown; cause?: unknown };
  return name === 'OnlySimulated' || (matcherResult !== undefined && (message ?? '').includes('OnlySimulated')) || (cause !== undefined && isOnlySimulated(cause));
}

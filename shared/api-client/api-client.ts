import type { z } from 'zod';
import { codebaseDetail, codebasePage, codebaseRegistered, refList, versionList, type CodebaseAnswer, type CodebaseDetail, type CodebaseSummary, type RefList, type VersionList } from '#schemas/api/codebases.ts';
import { treePage, type TreePage } from '#schemas/api/content.ts';
import { eventPage, parkedList, redriven, type EventPage, type ParkedAnswer, type Redriven } from '#schemas/api/events.ts';
import {
  gitlabGroupPage, gitlabProjectPage, manualHook, sourceCheck, sourceDetail, sourceList, sourceRegistered,
  type GitLabGroupPage, type GitLabProjectPage, type ManualHook, type SourceAnswer, type SourceCheck, type SourceRegisteredAnswer,
} from '#schemas/api/sources.ts';
import { syncAnswer, syncList, syncRequestedAnswer, type SyncAnswer, type SyncRequestedAnswer } from '#schemas/api/syncs.ts';
import type { checkSource, registerCodebase, registerSource, requestSync } from '#schemas/commands/commands.ts';
import { followLive, type LiveMessage, type LiveOptions } from './live.ts';
import { createRequests } from './requests.ts';

/** A path in a repository: as text, or its very bytes as hex digits where it is not UTF-8. */
export type PathGiven = string | { readonly hex: string };

/** Which version is meant: a ref (default branch when absent), at a commit, a position or a time (now when absent). */
export interface WhichVersion { readonly ref?: string | undefined; readonly at?: string | undefined }

export interface FileAnswer {
  readonly commit: string;
  readonly ref: string;
  readonly tree: string;
  readonly type: string;
  readonly mode: string;
  readonly bytes: number;
  /** Throws when the engine cut it short: it found the object damaged. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Every call @throws ApiProblem | EngineUnreachable | UnexpectedAnswer. */
export interface ApiClient {
  readonly url: string;
  sources(): Promise<readonly SourceAnswer[]>;
  addSource(body: z.input<typeof registerSource>): Promise<SourceRegisteredAnswer>;
  source(id: string): Promise<SourceAnswer>;
  /** What a GitLab says of a credential now; registers nothing. */
  checkSource(body: z.input<typeof checkSource>): Promise<SourceCheck>;
  /** The same of a source that is registered. */
  recheckSource(id: string): Promise<SourceCheck>;
  /** One page of the groups that the source's token sees, asked of GitLab now. */
  gitlabGroups(id: string, filter?: { search?: string; after?: string; limit?: number }): Promise<GitLabGroupPage>;
  /** One page of projects, newest active first; without a group, of those that the token's user is a member of. */
  gitlabProjects(id: string, filter?: { group?: string | number; after?: string; limit?: number; membership?: boolean }): Promise<GitLabProjectPage>;
  /** Address and secrets for a webhook made by hand. */
  manualHook(id: string): Promise<ManualHook>;
  /** All of them, page by page. */
  codebases(): AsyncIterable<CodebaseSummary>;
  codebase(id: string): Promise<CodebaseDetail>;
  addCodebase(body: { sourceId: string } & Omit<z.input<typeof registerCodebase>, 'sourceId'>): Promise<CodebaseAnswer>;
  requestSync(id: string, body?: z.input<typeof requestSync>): Promise<SyncRequestedAnswer>;
  refs(id: string): Promise<RefList>;
  versions(id: string, filter?: { ref?: string; before?: string; limit?: number }): Promise<VersionList['versions']>;
  /** A folder, page by page; all pages are of the version that the first one names. */
  tree(id: string, path: PathGiven, which?: WhichVersion): AsyncIterable<TreePage>;
  file(id: string, path: PathGiven, options?: WhichVersion & { signal?: AbortSignal }): Promise<FileAnswer>;
  sync(id: string): Promise<SyncAnswer>;
  syncs(filter: { cause?: string; codebase?: string; limit?: number }): Promise<readonly SyncAnswer[]>;
  events(filter?: { key?: string; stream?: string; type?: string; after?: string; limit?: number }): Promise<EventPage>;
  parked(filter?: { key?: string }): Promise<readonly ParkedAnswer[]>;
  redrive(group: string, key: string): Promise<Redriven>;
  /** What happens, as it happens. Resumes by itself after a lost connection; ends when the signal aborts. */
  live(options: LiveOptions): AsyncIterable<LiveMessage>;
}

const CODEBASES_A_PAGE = 1_000;

export function createApiClient({ url, token }: { readonly url: string; readonly token: string | undefined }): ApiClient {
  const { ask, send } = createRequests({ url, token });
  const base = url.replace(/\/+$/, '');

  return {
    url: base,
    sources: async () => (await ask(sourceList, 'GET', '/v1/sources')).sources,
    addSource: (body) => ask(sourceRegistered, 'POST', '/v1/sources', { body }),

    source: (id) => ask(sourceDetail, 'GET', `/v1/sources/${part(id)}`),
    checkSource: (body) => ask(sourceCheck, 'POST', '/v1/source-checks', { body }),
    recheckSource: (id) => ask(sourceCheck, 'GET', `/v1/sources/${part(id)}/check`),
    gitlabGroups: (id, filter = {}) => ask(gitlabGroupPage, 'GET', `/v1/sources/${part(id)}/gitlab/groups${queryOf(filter)}`),
    gitlabProjects: (id, filter = {}) => ask(gitlabProjectPage, 'GET', `/v1/sources/${part(id)}/gitlab/projects${queryOf(filter)}`),
    manualHook: (id) => ask(manualHook, 'GET', `/v1/sources/${part(id)}/manual-hook`),

    async *codebases() {
      let next: string | null = `/v1/codebases?limit=${CODEBASES_A_PAGE}`;
      while (next !== null) {
        const page: z.output<typeof codebasePage> = await ask(codebasePage, 'GET', next);
        yield* page.codebases;
        next = page.next;
      }
    },
    codebase: (id) => ask(codebaseDetail, 'GET', `/v1/codebases/${part(id)}`),
    addCodebase: (body) => ask(codebaseRegistered, 'POST', '/v1/codebases', { body }),
    requestSync: (id, body = {}) => ask(syncRequestedAnswer, 'POST', `/v1/codebases/${part(id)}/syncs`, { body }),
    refs: (id) => ask(refList, 'GET', `/v1/codebases/${part(id)}/refs`),
    versions: async (id, filter = {}) => (await ask(versionList, 'GET', `/v1/codebases/${part(id)}/versions${queryOf(filter)}`)).versions,

    async *tree(id, path, which = {}) {
      let next: string | null = contentAddress(id, 'tree', { path, which });
      while (next !== null) {
        const page: TreePage = await ask(treePage, 'GET', next);
        yield page;
        next = page.next;
      }
    },
    async file(id, path, { signal, ...which } = {}) {
      const response = await send('GET', contentAddress(id, 'files', { path, which }), { signal });
      return fileOf(response);
    },

    sync: (id) => ask(syncAnswer, 'GET', `/v1/syncs/${part(id)}`),
    syncs: async (filter) => (await ask(syncList, 'GET', `/v1/syncs${queryOf(filter)}`)).syncs,
    events: (filter = {}) => ask(eventPage, 'GET', `/v1/events${queryOf(filter)}`),
    parked: async (filter = {}) => (await ask(parkedList, 'GET', `/v1/parked${queryOf(filter)}`)).parked,
    redrive: (group, key) => ask(redriven, 'POST', `/v1/parked/${part(group)}/${part(key)}/redrive`, { body: {} }),
    live: (options) => followLive({ url: base, token }, options),
  };
}

const part = encodeURIComponent;

function queryOf(filter: object): string {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${part(String(value))}`);
  return given.length === 0 ? '' : `?${given.join('&')}`;
}

function contentAddress(id: string, what: 'tree' | 'files', { path, which }: { path: PathGiven; which: WhichVersion }): string {
  const segments = typeof path === 'string' ? path.split('/').filter((segment) => segment !== '') : [];
  // URL parsers take "." and ".." away, even escaped; as bytes they arrive, and the engine says that there is no such name.
  const isWalkedByUrls = segments.some((segment) => segment === '.' || segment === '..');
  const hex = typeof path !== 'string' ? path.hex : isWalkedByUrls ? Buffer.from(path, 'utf8').toString('hex') : undefined;
  const shown = hex === undefined && segments.length > 0 ? `/${segments.map(part).join('/')}` : '';
  return `/v1/codebases/${part(id)}/${what}${shown}${queryOf({ ref: which.ref, at: which.at, pathHex: hex })}`;
}

function fileOf(response: Response): FileAnswer {
  const header = (name: string) => response.headers.get(name) ?? '';
  return {
    commit: header('x-tekai-commit'),
    ref: decodeURI(header('x-tekai-ref')),
    tree: header('x-tekai-tree'),
    type: header('x-tekai-type'),
    mode: header('x-tekai-mode'),
    bytes: Number(header('content-length')),
    content: response.body ?? emptyContent(),
  };
}

async function* emptyContent(): AsyncGenerator<Uint8Array> { /* An empty file has no body. */ }

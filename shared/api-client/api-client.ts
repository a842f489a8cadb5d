import type { z } from 'zod';
import { codebaseDetail, codebasePage, codebaseRegistered, type CodebaseAnswer, type CodebaseDetail, type CodebaseSummary } from '#schemas/api/codebases.ts';
import { treePage, type TreePage } from '#schemas/api/content.ts';
import { deliveryDetail, deliveryPage, type DeliveryDetail, type DeliverySummary } from '#schemas/api/deliveries.ts';
import { eventPage, parkedList, redriven, type EventPage, type ParkedAnswer, type Redriven } from '#schemas/api/events.ts';
import {
  gitlabGroupPage, gitlabProjectPage, manualHook, sourceCheck, sourceDetail, sourceList, sourceRegistered,
  type GitLabGroupPage, type GitLabProjectPage, type ManualHook, type SourceAnswer, type SourceCheck, type SourceRegisteredAnswer,
} from '#schemas/api/sources.ts';
import { syncAnswer, syncList, syncRequestedAnswer, type SyncAnswer, type SyncRequestedAnswer } from '#schemas/api/syncs.ts';
import { refList, versionList, type RefList, type VersionList } from '#schemas/api/versions.ts';
import type { checkSource, registerCodebase, registerSource, requestSync } from '#schemas/commands/commands.ts';
import { createContentCalls, type ContentCalls } from './content-calls.ts';
import { followerCalls, type FollowerCalls } from './follow.ts';
import { createIdentityCalls, type IdentityCalls } from './identity-calls.ts';
import { createLifecycleCalls, type LifecycleCalls } from './lifecycle-calls.ts';
import { followLive, type LiveMessage, type LiveOptions } from './live.ts';
import { createRequests, type Reach } from './requests.ts';

/** A path in a repository: as text, or its very bytes as hex digits where it is not UTF-8. */
export type PathGiven = string | { readonly hex: string };

/** Wait for it: a commit, a position or a cause; up to `wait` (`5s`, 30 s at most). When it does not come: ApiProblem 202 `not-yet`. */
export interface AtLeast { readonly atLeast?: string | undefined; readonly wait?: string | undefined }

/** Which version is meant: a ref (default branch when absent), at a commit, a position or a time, or as GitLab had it then (now when absent). */
export interface WhichVersion extends AtLeast { readonly ref?: string | undefined; readonly at?: string | undefined; readonly observedAt?: string | undefined }

type Period = { since?: string | undefined; until?: string | undefined };
export type DeliveryFilter = Period & { codebase?: string | undefined; source?: string | undefined; kind?: string | undefined };
export type SyncsFilter = Period & { cause?: string | undefined; codebase?: string | undefined; ref?: string | undefined; state?: string | undefined };

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
export interface ApiClient extends LifecycleCalls, ContentCalls, FollowerCalls, IdentityCalls {
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
  /** All of them, page by page; active and archived ones unless said. */
  codebases(filter?: { project?: string; source?: string; state?: 'active' | 'archived' | 'removed' }): AsyncIterable<CodebaseSummary>;
  codebase(id: string): Promise<CodebaseDetail>;
  addCodebase(body: { sourceId: string } & Omit<z.input<typeof registerCodebase>, 'sourceId'>): Promise<CodebaseAnswer>;
  requestSync(id: string, body?: z.input<typeof requestSync>): Promise<SyncRequestedAnswer>;
  /** All of them, whatever the number of pages; `ref` may be a pattern, `commit` the beginning of one. */
  refs(id: string, filter?: AtLeast & { ref?: string | undefined; commit?: string | undefined }): Promise<Omit<RefList, 'next'>>;
  /** Newest first, one page. */
  versions(id: string, filter?: AtLeast & { ref?: string | undefined; commit?: string | undefined; before?: string | undefined; limit?: number | undefined }): Promise<VersionList['versions']>;
  /** A folder, page by page; all pages are of the version that the first one names. */
  tree(id: string, path: PathGiven, which?: WhichVersion): AsyncIterable<TreePage>;
  file(id: string, path: PathGiven, options?: WhichVersion & { signal?: AbortSignal }): Promise<FileAnswer>;
  sync(id: string): Promise<SyncAnswer>;
  /** The latest begun first, one page. */
  syncs(filter: SyncsFilter & { limit?: number | undefined }): Promise<readonly SyncAnswer[]>;
  /** Newest first, page by page, as long as more is asked for. */
  deliveries(filter?: DeliveryFilter): AsyncIterable<DeliverySummary>;
  delivery(id: string): Promise<DeliveryDetail>;
  /** The raw bytes that came, while they are kept. */
  deliveryBody(id: string): Promise<Uint8Array>;
  /** `type` may be several, with commas. */
  events(filter?: { key?: string | undefined; stream?: string | undefined; type?: string | undefined; after?: string | undefined; until?: string | undefined; limit?: number | undefined }): Promise<EventPage>;
  parked(filter?: { key?: string }): Promise<readonly ParkedAnswer[]>;
  redrive(group: string, key: string): Promise<Redriven>;
  /** What happens, as it happens. Resumes by itself after a lost connection; ends when the signal aborts. */
  live(options: LiveOptions): AsyncIterable<LiveMessage>;
}

const CODEBASES_A_PAGE = 1_000;

export function createApiClient({ url, token, ...patience }: Reach): ApiClient {
  const requests = createRequests({ url, token, ...patience });
  const { ask, send } = requests;
  const base = url.replace(/\/+$/, '');

  return {
    ...createContentCalls({ ask, send, contentAddress }),
    url: base,
    ...createLifecycleCalls({ ask }),
    ...followerCalls(requests),
    ...createIdentityCalls(requests),
    sources: async () => (await ask(sourceList, 'GET', '/v1/sources')).sources,
    addSource: (body) => ask(sourceRegistered, 'POST', '/v1/sources', { body }),

    source: (id) => ask(sourceDetail, 'GET', `/v1/sources/${part(id)}`),
    checkSource: (body) => ask(sourceCheck, 'POST', '/v1/source-checks', { body }),
    recheckSource: (id) => ask(sourceCheck, 'GET', `/v1/sources/${part(id)}/check`),
    gitlabGroups: (id, filter = {}) => ask(gitlabGroupPage, 'GET', `/v1/sources/${part(id)}/gitlab/groups${queryOf(filter)}`),
    gitlabProjects: (id, filter = {}) => ask(gitlabProjectPage, 'GET', `/v1/sources/${part(id)}/gitlab/projects${queryOf(filter)}`),
    manualHook: (id) => ask(manualHook, 'GET', `/v1/sources/${part(id)}/manual-hook`),

    async *codebases(filter = {}) {
      let next: string | null = `/v1/codebases${queryOf({ limit: CODEBASES_A_PAGE, ...filter })}`;
      while (next !== null) {
        const page: z.output<typeof codebasePage> = await ask(codebasePage, 'GET', next);
        yield* page.codebases;
        next = page.next;
      }
    },
    codebase: (id) => ask(codebaseDetail, 'GET', `/v1/codebases/${part(id)}`),
    addCodebase: (body) => ask(codebaseRegistered, 'POST', '/v1/codebases', { body }),
    requestSync: (id, body = {}) => ask(syncRequestedAnswer, 'POST', `/v1/codebases/${part(id)}/syncs`, { body }),
    async refs(id, filter = {}) {
      let next: string | null = `/v1/codebases/${part(id)}/refs${queryOf(filter)}`;
      const all: RefList['refs'] = [];
      let defaultRef: RefList['defaultRef'] = null;
      while (next !== null) {
        const page: RefList = await ask(refList, 'GET', next);
        all.push(...page.refs);
        ({ defaultRef, next } = page);
      }
      return { defaultRef, refs: all };
    },
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
    async *deliveries(filter = {}) {
      let next: string | null = `/v1/deliveries${queryOf(filter)}`;
      while (next !== null) {
        const page: z.output<typeof deliveryPage> = await ask(deliveryPage, 'GET', next);
        yield* page.deliveries;
        next = page.next;
      }
    },
    delivery: (id) => ask(deliveryDetail, 'GET', `/v1/deliveries/${part(id)}`),
    deliveryBody: async (id) => new Uint8Array(await (await send('GET', `/v1/deliveries/${part(id)}/body`)).arrayBuffer()),
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
  return `/v1/codebases/${part(id)}/${what}${shown}${queryOf({ ref: which.ref, at: which.at, observedAt: which.observedAt, atLeast: which.atLeast, wait: which.wait, pathHex: hex })}`;
}

function fileOf(response: Response): FileAnswer {
  const header = (name: string) => response.headers.get(name) ?? '';
  return {
    commit: header('x-tekai-commit'),
    ref: decodeURI(header('x-tekai-ref')),
    tree: header('x-tekai-tree'),
    type: header('x-tekai-entry'),
    mode: header('x-tekai-mode'),
    bytes: Number(header('content-length')),
    content: response.body ?? emptyContent(),
  };
}

async function* emptyContent(): AsyncGenerator<Uint8Array> { /* An empty file has no body. */ }

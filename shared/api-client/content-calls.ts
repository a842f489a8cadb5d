import { batchLine, type BatchLine } from '#schemas/api/batch.ts';
import { changesAnswer, type ChangesAnswer } from '#schemas/api/changes.ts';
import { occurrencesPage, type OccurrencesPage } from '#schemas/api/occurrences.ts';
import { statsAnswer, type StatsAnswer } from '#schemas/api/stats.ts';
import type { PathGiven, WhichVersion } from './api-client.ts';
import { UnexpectedAnswer } from './api-errors.ts';
import type { Requests } from './requests.ts';

/** A file of 1 MiB in base64, its path, and what stands around them. */
const LINE_CHARS_MAX = 2 * 1_048_576;

export interface WhichChanges {
  /** A commit, a position, a time or a ref. */
  readonly from: string;
  /** Likewise; now when absent. */
  readonly to?: string | undefined;
  /** Whose versions are meant (default branch when absent), and whose for `from` when it is another. */
  readonly ref?: string | undefined;
  readonly fromRef?: string | undefined;
  /** Another codebase or fork. */
  readonly fromCodebase?: string | undefined;
  readonly renames?: boolean | undefined;
  readonly limit?: number | undefined;
}

export interface ArchiveAnswer {
  readonly commit: string;
  readonly ref: string;
  /** Throws when the engine cut it short: it found an object damaged. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** What is read out of versions. Every call @throws ApiProblem | EngineUnreachable | UnexpectedAnswer. */
export interface ContentCalls {
  /** What differs between two versions, page by page; all pages are of the two that the first one names. */
  changes(id: string, which: WhichChanges): AsyncIterable<ChangesAnswer>;
  /** How much differs, without the changes themselves. */
  changesSummary(id: string, which: WhichChanges): Promise<ChangesAnswer>;
  stats(id: string, path?: PathGiven, which?: WhichVersion): Promise<StatsAnswer>;
  archive(id: string, options?: WhichVersion & { path?: PathGiven | undefined; format?: 'tar' | 'tar.gz' | undefined; signal?: AbortSignal | undefined }): Promise<ArchiveAnswer>;
  /** Up to 1,000 files of one version, line by line; ends with `end`, or throws when the answer was cut. */
  filesBatch(id: string, paths: readonly PathGiven[], which?: WhichVersion): AsyncIterable<BatchLine>;
  /** Where a blob is and was, page by page. */
  occurrences(blob: string, filter?: { codebase?: string | undefined }): AsyncIterable<OccurrencesPage>;
  /** The blob that stands at a path, without its content. */
  blobAt(id: string, path: PathGiven, which?: WhichVersion): Promise<string>;
}

interface Deps extends Requests { contentAddress(id: string, what: 'tree' | 'files', asked: { path: PathGiven; which: WhichVersion }): string }

export function createContentCalls({ ask, send, contentAddress }: Deps): ContentCalls {
  return {
    async *changes(id, which) {
      let next: string | null = changesAddress(id, which, {});
      while (next !== null) {
        const page: ChangesAnswer = await ask(changesAnswer, 'GET', next);
        yield page;
        next = page.next;
      }
    },
    changesSummary: (id, which) => ask(changesAnswer, 'GET', changesAddress(id, which, { summary: true })),
    stats: (id, path = '', which = {}) => ask(statsAnswer, 'GET', `${under(id)}/stats${queryOf({ ...pathQuery(path), ref: which.ref, at: which.at })}`),

    async archive(id, { path = '', ref, at, format, signal } = {}) {
      const response = await send('GET', `${under(id)}/archive${queryOf({ ...pathQuery(path), ref, at, format })}`, { signal });
      return { commit: response.headers.get('x-tekai-commit') ?? '', ref: decodeURI(response.headers.get('x-tekai-ref') ?? ''), content: response.body ?? nothing() };
    },

    async *filesBatch(id, paths, which = {}) {
      const response = await send('POST', `${under(id)}/files:batch`, { body: { paths, ref: which.ref, at: which.at } });
      for await (const text of linesOf(response.body ?? nothing())) {
        const line = batchLine.safeParse(parsed(text));
        if (!line.success) throw new UnexpectedAnswer(`A line of files:batch is not what this program understands (${line.error.issues[0]?.message ?? 'unknown'}). Are it and the engine of one version?`);
        yield line.data;
        if (line.data.kind === 'end') return;
      }
      throw new UnexpectedAnswer('The answer of files:batch broke off before its last line. What came is right; ask again for what did not.');
    },

    async *occurrences(blob, { codebase } = {}) {
      let next: string | null = `/v1/objects/${part(blob)}/occurrences${queryOf({ codebase })}`;
      while (next !== null) {
        const page: OccurrencesPage = await ask(occurrencesPage, 'GET', next);
        yield page;
        next = page.next;
      }
    },

    async blobAt(id, path, which = {}) {
      const stop = new AbortController();
      const { headers } = await send('GET', contentAddress(id, 'files', { path, which }), { signal: stop.signal });
      // The name is all that was wanted.
      stop.abort();
      return headers.get('etag')?.replace(/^W\/|"/g, '') ?? '';
    },
  };
}

const part = encodeURIComponent;
const under = (id: string) => `/v1/codebases/${part(id)}`;
const pathQuery = (path: PathGiven) => (typeof path === 'string' ? { path: path === '' ? undefined : path } : { pathHex: path.hex });

function changesAddress(id: string, { from, to, ref, fromRef, fromCodebase, renames, limit }: WhichChanges, { summary }: { summary?: boolean }): string {
  return `${under(id)}/changes${queryOf({ from, to, ref, fromRef, fromCodebase, renames, limit, summary })}`;
}

function queryOf(filter: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${part(String(value))}`);
  return given.length === 0 ? '' : `?${given.join('&')}`;
}

async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARS_MAX) throw new UnexpectedAnswer(`A line of files:batch is longer than ${LINE_CHARS_MAX} characters.`);
    yield* lines;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> { /* No body. */ }

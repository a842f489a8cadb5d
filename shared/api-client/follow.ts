import { setTimeout as sleepFor } from 'node:timers/promises';
import type { z } from 'zod';
import { acknowledged, follower, followerCreated, followerEntry, followerList, snapshotLine, type Acknowledged, type createFollower, type FollowerAnswer, type FollowerCreated, type FollowerEntry, type SnapshotLine } from '#schemas/api/followers.ts';
import { ApiProblem, EngineUnreachable, UnexpectedAnswer } from './api-errors.ts';
import type { Requests } from './requests.ts';

export interface FollowOptions extends Partial<Omit<z.input<typeof createFollower>, 'name' | 'webhook'>> {
  readonly signal?: AbortSignal | undefined;
  /** Also `end`: now you hold what a snapshot at its position shows. */
  readonly ends?: boolean;
  /** Entries asked for at once; each is acknowledged together with those before it. */
  readonly limit?: number;
  /** Told when the connection is lost, and made again. */
  readonly onLost?: (reason: string) => void;
}

/** Every call @throws ApiProblem | EngineUnreachable | UnexpectedAnswer. */
export interface FollowerCalls {
  followers(): Promise<readonly FollowerAnswer[]>;
  follower(name: string): Promise<FollowerAnswer>;
  /** Makes it, or finds the one that was made by the same wish before. A webhook's secret is told only when it is made. */
  addFollower(wish: z.input<typeof createFollower>): Promise<FollowerCreated>;
  removeFollower(name: string): Promise<void>;
  acknowledge(name: string, cursor: string): Promise<Acknowledged>;
  /** The whole state, line by line. Its last line's cursor is to be acknowledged once it is loaded. */
  followerSnapshot(name: string, options?: { at?: string; signal?: AbortSignal }): AsyncIterable<SnapshotLine>;
  /**
   * Changes in the order in which they are to be applied, for ever. Each is acknowledged once the next one was asked for: after
   * a crash it may come again. With `codebases`, `project` or `all` the follower is made first, if it is not there.
   */
  follow(name: string, options?: FollowOptions): AsyncIterable<FollowerEntry>;
}

const WAIT = '30s';
const PAGE_ENTRIES = 1_000;
/** From 0.1 s, doubled, up to 5 s, each with up to half of it added by chance: clients must not come back in step. */
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 5_000;
/** A cursor holds a path in hex; servers and proxies take headers of 8 to 16 KB. A longer one travels in a body. */
const CURSOR_IN_ADDRESS_CHARS_MAX = 4_000;

export function followerCalls(requests: Requests): FollowerCalls {
  const { ask, send } = requests;
  return {
    followers: async () => (await ask(followerList, 'GET', '/v1/followers')).followers,
    follower: (name) => ask(follower, 'GET', addressOf(name)),
    addFollower: (wish) => ask(followerCreated, 'POST', '/v1/followers', { body: wish }),
    removeFollower: async (name) => void (await send('DELETE', addressOf(name))),
    acknowledge: (name, cursor) => ask(acknowledged, 'POST', `${addressOf(name)}/ack`, { body: { cursor } }),
    async *followerSnapshot(name, { at, signal } = {}) {
      const response = await send('GET', `${addressOf(name)}/snapshot${at === undefined ? '' : `?at=${encodeURIComponent(at)}`}`, { signal });
      yield* linesOf(response, snapshotLine);
    },
    follow: (name, options = {}) => followChanges(requests, name, options),
  };
}

const addressOf = (name: string) => `/v1/followers/${encodeURIComponent(name)}`;

async function* followChanges(requests: Requests, name: string, options: FollowOptions): AsyncGenerator<FollowerEntry> {
  const { codebases, project, all, refs, signal = new AbortController().signal, ends = false } = options;
  if ((codebases ?? project ?? all) !== undefined) {
    await requests.ask(followerCreated, 'POST', '/v1/followers', { body: { name, codebases, project, all, refs }, signal });
  }
  /** The last change that the consumer has done with; undefined: go on from what the engine knows. */
  let done: string | undefined;
  let isAcknowledged = true;
  let wait = false;
  let failures = 0;
  try {
    while (!signal.aborted) {
      let entries: readonly FollowerEntry[];
      try {
        entries = await pageBehind(requests, name, { after: done, wait, limit: options.limit ?? PAGE_ENTRIES, signal });
        isAcknowledged = true;
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!isWorthAnotherTry(error)) throw error;
        // The log was moved: what is acknowledged still counts, under another name.
        if (error instanceof ApiProblem && error.code === 'cursor-of-another-log') done = undefined;
        else options.onLost?.((error as Error).message);
        wait = false;
        await sleepFor(Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** failures) * (1 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
        failures += 1;
        continue;
      }
      for (const entry of entries) {
        if (entry.op !== 'end' || ends) yield entry;
        // Only now: whoever dies with a change in hand is told it again.
        done = entry.cursor;
        isAcknowledged = false;
      }
      wait = entries.at(-1)?.op === 'end';
    }
  } finally {
    // Who leaves has done what came before; if it cannot be said, it comes again.
    if (done !== undefined && !isAcknowledged) await requests.ask(acknowledged, 'POST', `${addressOf(name)}/ack`, { body: { cursor: done } }).catch(() => undefined);
  }
}

async function pageBehind(requests: Requests, name: string, { after, wait, limit, signal }: { after: string | undefined; wait: boolean; limit: number; signal: AbortSignal }): Promise<FollowerEntry[]> {
  const query = new URLSearchParams({ limit: String(limit), ...(wait ? { wait: WAIT } : {}) });
  const isLong = (after?.length ?? 0) > CURSOR_IN_ADDRESS_CHARS_MAX;
  if (after !== undefined && isLong) await requests.ask(acknowledged, 'POST', `${addressOf(name)}/ack`, { body: { cursor: after }, signal });
  if (after !== undefined && !isLong) { query.set('after', after); query.set('ack', 'true'); }
  const entries: FollowerEntry[] = [];
  for await (const entry of linesOf(await requests.send('GET', `${addressOf(name)}/changes?${query.toString()}`, { signal }), followerEntry)) entries.push(entry);
  return entries;
}

/** Nobody there, or not now. What the engine refuses it will refuse again. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ApiProblem) return error.status >= 500 || error.status === 429 || error.code === 'cursor-of-another-log';
  return error instanceof EngineUnreachable || error instanceof LineBroken;
}

/** The answer broke off. */
class LineBroken extends Error {
  override readonly name = 'LineBroken';
}

async function* linesOf<Schema extends z.ZodType>(response: Response, schema: Schema): AsyncGenerator<z.output<Schema>> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const piece of response.body ?? []) {
      const lines = (rest + decoder.decode(piece as Uint8Array, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield parseLine(line, schema);
    }
  } catch (error) {
    if (error instanceof UnexpectedAnswer) throw error;
    throw new LineBroken('the answer broke off', { cause: error });
  }
  if (rest !== '') throw new LineBroken('the answer broke off within a line');
}

function parseLine<Schema extends z.ZodType>(line: string, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(JSON.parse(line));
  if (parsed.success) return parsed.data;
  throw new UnexpectedAnswer(`The engine told a change that this program does not understand (${parsed.error.issues[0]?.message ?? 'unknown'}). Are it and the engine of one version?`);
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { EventAnswer } from '#schemas/api/events.ts';
import type { ApiClient } from '#shared/api-client/api-client.ts';
import { ApiProblem } from '#shared/api-client/api-errors.ts';
import { describeFact } from '#shared/api-client/describe-fact.ts';
import { DemoFailed } from './demo-failed.ts';

export interface Push {
  /** The codebase in the engine. */
  readonly codebase: string;
  readonly commit: string;
  readonly file: string;
  readonly content: string;
  /** Runs `git push`; resolves when git has its answer. */
  push(): Promise<unknown>;
}

export interface Step { readonly at: number; readonly what: string; readonly detail: string }

/** Everything has this long; on an idle machine it takes a fifth of a second. */
const ROAD_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 10;
const EVENTS_MAX = 1_000;

const SHOWN: Readonly<Record<string, string>> = {
  'push.received': 'delivery received', 'codebase.fetched': 'codebase.fetched', 'codebase.scanned': 'codebase.scanned', 'codebase.stored': 'codebase.stored',
};

/** Pushes, and follows the push until its file can be read and the WebSocket has told of it. @throws DemoFailed naming the step that did not come */
export async function timeTheRoad(client: ApiClient, push: Push, { msMax = ROAD_MS_MAX } = {}): Promise<{ began: number; steps: Step[] }> {
  const stopping = new AbortController();
  const deadline = AbortSignal.timeout(msMax);
  const signal = AbortSignal.any([stopping.signal, deadline]);
  const steps: Step[] = [];
  const mark = (what: string, detail: string) => { steps.push({ at: Date.now(), what, detail }); };
  const { position } = await client.events({ limit: 1 });
  try {
    const listening = listenFor(client, push, { since: position, signal });
    await listening.isListening;
    const began = Date.now();
    const told = listening.isStored.then(() => mark('WebSocket message', `codebase.stored of ${push.commit.slice(0, 10)}, on channel codebase:${push.codebase.slice(0, 8)}…`));
    const pushed = push.push().then(() => mark('push answered', 'git push has ended'));
    const readable = untilReadable(client, push, signal).then((bytes) => mark('file readable', `${bytes} bytes of ${push.file} over the API, equal to those pushed`));
    // They are awaited one after the other; one that fails meanwhile waits for its turn.
    void Promise.allSettled([told, pushed, readable]);
    await named(pushed, 'git push', deadline);
    await named(readable, `the file ${push.file}, readable over the API`, deadline);
    await named(told, 'the WebSocket\'s message that it is stored', deadline);
    return { began, steps: [...steps, ...await factsOf(client, push, position)].sort((a, b) => a.at - b.at) };
  } catch (error) {
    if (!deadline.aborted) throw error;
    const seen = await factsOf(client, push, position).catch(() => []);
    const all = [...steps, ...seen].sort((a, b) => a.at - b.at).map((step) => step.what);
    throw new DemoFailed(`${error instanceof Error ? error.message : String(error)} Seen within ${msMax / 1_000} s: ${all.length === 0 ? 'nothing' : all.join(', ')}.`);
  } finally {
    stopping.abort();
  }
}

function listenFor(client: ApiClient, push: Push, { since, signal }: { since: string; signal: AbortSignal }) {
  let listens = () => {};
  const isListening = new Promise<void>((resolve) => { listens = resolve; });
  const isStored = (async () => {
    for await (const message of client.live({ channel: `codebase:${push.codebase}`, since, signal })) {
      if (message.kind === 'listening') listens();
      if (message.kind === 'fact' && message.type === 'codebase.stored' && (message.data as { commit?: unknown }).commit === push.commit) return;
    }
    throw new Error('the live channel ended');
  })();
  return { isListening: Promise.race([isListening, isStored]), isStored };
}

async function untilReadable(client: ApiClient, push: Push, signal: AbortSignal): Promise<number> {
  for (;;) {
    const content = await readFile(client, push, signal);
    if (content === push.content) return Buffer.byteLength(content);
    if (content !== undefined) throw new DemoFailed(`The engine answered ${push.file} with other bytes than were pushed: ${JSON.stringify(content.slice(0, 200))}`);
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
  }
}

/** Undefined while the newest version does not hold the file. */
async function readFile(client: ApiClient, push: Push, signal: AbortSignal): Promise<string | undefined> {
  try {
    const file = await client.file(push.codebase, push.file, { signal });
    const pieces: Uint8Array[] = [];
    for await (const piece of file.content) pieces.push(piece);
    return Buffer.concat(pieces).toString('utf8');
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return undefined;
    throw error;
  }
}

/** The facts that this push led to, with the time that each carries. */
async function factsOf(client: ApiClient, push: Push, since: string): Promise<Step[]> {
  const { events } = await client.events({ key: push.codebase, after: since, limit: EVENTS_MAX });
  return events.filter((event) => SHOWN[event.type] !== undefined && isOf(event, push.commit))
    .map((event) => ({ at: Date.parse(event.time), what: SHOWN[event.type] ?? event.type, detail: describeFact(event.type, event.data) }));
}

function isOf({ data }: EventAnswer, commit: string): boolean {
  const { commit: own, refs } = data as { commit?: unknown; refs?: readonly { after?: unknown }[] };
  return own === commit || refs?.some((hint) => hint.after === commit) === true;
}

async function named<T>(work: Promise<T>, what: string, deadline: AbortSignal): Promise<T> {
  try {
    return await Promise.race([work, new Promise<never>((_, reject) => {
      const late = () => reject(new DemoFailed(`Waited in vain for ${what}.`));
      if (deadline.aborted) late();
      else deadline.addEventListener('abort', late, { once: true });
    })]);
  } catch (error) {
    if (error instanceof DemoFailed) throw error;
    throw new DemoFailed(`Waited for ${what}, and failed: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

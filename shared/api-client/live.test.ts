import { createApiClient, type ApiClient } from './api-client.ts';
import { ApiProblem, EngineUnreachable, UnexpectedAnswer } from './api-errors.ts';
import type { LiveMessage } from './live.ts';
import { CODEBASE_ID, scriptedEngine, TIME, TOKEN, type LiveScript, type ScriptedEngine } from './scripted-engine.fixture.ts';

let engine: ScriptedEngine;
let client: ApiClient;

beforeEach(async () => {
  engine = await scriptedEngine();
  client = createApiClient({ url: engine.url, token: TOKEN });
});
afterEach(() => engine.stop());

const at = (place: number) => `28b01625-0${place}`;
const pub = (ch: string, place: number, previous = place - 1) =>
  ({ op: 'pub', ch, position: at(place), previous: at(previous), type: 'sync.requested', id: CODEBASE_ID, time: TIME, key: CODEBASE_ID, data: { place } }) as const;
const subscribed = (ch: string, place: number, recovered = true) => ({ op: 'subscribed', ch, position: at(place), recovered }) as const;

/** Tells the facts `from` to `to`, then does what the test says. */
const tells = (from: number, to: number, then: (line: Parameters<LiveScript>[0]) => void = () => {}): LiveScript => (line) => {
  line.send(subscribed(line.ch, from - 1));
  for (let place = from; place <= to; place += 1) line.send(pub(line.ch, place));
  then(line);
};

/** The messages up to the n-th fact. */
async function untilFacts(count: number, options: { since?: string } = {}): Promise<LiveMessage[]> {
  const messages: LiveMessage[] = [];
  for await (const message of client.live({ channel: 'all', ...options })) {
    messages.push(message);
    if (messages.filter((one) => one.kind === 'fact').length === count) break;
  }
  return messages;
}

const placesOf = (messages: LiveMessage[]) => messages.flatMap((one) => (one.kind === 'fact' ? [(one.data as { place: number }).place] : []));

test('facts come in order, after the word from where on they will', async () => {
  engine.live(tells(1, 3));
  const messages = await untilFacts(3);
  expect(messages[0]).toEqual({ kind: 'listening', position: at(0) });
  expect(placesOf(messages)).toEqual([1, 2, 3]);
});

test('after a lost connection it goes on from its last position: nothing missed, nothing twice', async () => {
  engine.live(tells(1, 3, (line) => line.close(4_001, 'the engine is stopping; come back')), tells(4, 5, (line) => line.cut()), tells(6, 6));
  const messages = await untilFacts(6);
  expect(placesOf(messages)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(engine.subscribed).toEqual([undefined, at(3), at(5)]);
  expect(messages.filter((one) => one.kind === 'lost' || one.kind === 'resumed').map((one) => one.kind)).toEqual(['lost', 'resumed', 'lost', 'resumed']);
  expect(messages.find((one) => one.kind === 'lost')).toEqual({ kind: 'lost', reason: 'the engine is stopping; come back', position: at(3) });
});

test('an engine that is away for a while is waited for', async () => {
  engine.live(tells(1, 1, (line) => line.cut()));
  const { port } = new URL(engine.url);
  const messages: LiveMessage[] = [];
  let losses = 0;
  for await (const message of client.live({ channel: 'all' })) {
    messages.push(message);
    if (message.kind === 'lost') {
      losses += 1;
      if (losses === 1) await engine.stop();
      if (losses === 3) { engine = await scriptedEngine({ port: Number(port) }); engine.live(tells(2, 2)); }
    }
    if (placesOf(messages).length === 2) break;
  }
  expect(placesOf(messages)).toEqual([1, 2]);
  expect(engine.subscribed).toEqual([at(1)]);
});

test('where a message is missing, it is asked for again from the last good one', async () => {
  engine.live((line) => { line.send(subscribed(line.ch, 0)); line.send(pub(line.ch, 1)); line.send(pub(line.ch, 3, 2)); }, tells(2, 3));
  expect(placesOf(await untilFacts(3))).toEqual([1, 2, 3]);
  expect(engine.subscribed).toEqual([undefined, at(1)]);
});

test('what was missed for good is said', async () => {
  engine.live((line) => { line.send(subscribed(line.ch, 7, false)); line.send(pub(line.ch, 8)); });
  expect(await untilFacts(1, { since: at(1) })).toMatchObject([{ kind: 'gap', position: at(7) }, { kind: 'fact', position: at(8) }]);
});

test('progress comes along', async () => {
  const progress = { syncId: CODEBASE_ID, codebaseId: CODEBASE_ID, ref: 'refs/heads/main', step: 'store', objectsDone: 5, objectsTotal: 10, bytesDone: 100 };
  engine.live((line) => { line.send(subscribed(line.ch, 0)); line.send({ op: 'progress', ch: line.ch, progress }); line.send({ op: 'progress', ch: line.ch, progress: { of: 'a newer kind' } }); line.send(pub(line.ch, 1)); });
  expect((await untilFacts(1)).map((one) => one.kind)).toEqual(['listening', 'progress', 'fact']);
});

test('a token that is not known is no reason to try again', async () => {
  engine.live(tells(1, 1));
  const stranger = createApiClient({ url: engine.url, token: 'wrong' });
  const error = await stranger.live({ channel: 'all' })[Symbol.asyncIterator]().next().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiProblem);
  expect(error).toMatchObject({ status: 401, code: 'not-authenticated' });
});

test('a position that the engine refuses is told as its problem', async () => {
  engine.live((line) => line.send({ op: 'error', code: 'position-malformed', detail: 'since= is no position as answers give them.' }));
  await expect(untilFacts(1, { since: 'nonsense' })).rejects.toMatchObject({ code: 'position-malformed' });
});

test('where nobody answers at the beginning, it says so at once', async () => {
  await engine.stop();
  await expect(untilFacts(1)).rejects.toThrow(EngineUnreachable);
  engine = await scriptedEngine();
});

test('a server without live updates is told apart from one that is down', async () => {
  await expect(untilFacts(1)).rejects.toMatchObject({ name: 'ApiProblem', code: 'no-live-updates', status: 404 });
});

test('a frame that is not understood ends it with what is wrong', async () => {
  engine.live((line) => line.raw('{"op":"pub"}'));
  await expect(untilFacts(1)).rejects.toThrow(UnexpectedAnswer);
});

test('whoever stops reading leaves no connection behind', async () => {
  engine.live(tells(1, 5));
  await untilFacts(2);
  while (engine.sockets() > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('the signal ends it, also while it waits', async () => {
  engine.live(tells(1, 1));
  const stopping = new AbortController();
  const kinds: string[] = [];
  for await (const message of client.live({ channel: 'all', signal: stopping.signal })) {
    kinds.push(message.kind);
    if (message.kind === 'fact') setImmediate(() => stopping.abort());
  }
  expect(kinds).toEqual(['listening', 'fact']);
});

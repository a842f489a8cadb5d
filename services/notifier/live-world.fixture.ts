import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { createEventStreams, type EventStreams } from './event-stream.ts';
import { openSocket, openStream, type Pipe } from './live-clients.fixture.ts';
import { ANN, createNotifierBench, KEY_A, KEY_B, KEY_C, PROJECT, type BenchNotifier, type NotifierBench } from './notifier-bench.fixture.ts';

export type Step =
  | { readonly kind: 'append'; readonly codebase: number; readonly count: number }
  | { readonly kind: 'member'; readonly codebase: number; readonly isMember: boolean; readonly isAtOnce: boolean }
  /** Of a codebase by its place, or of the project. */
  | { readonly kind: 'right'; readonly what: number; readonly may: boolean; readonly isAtOnce: boolean }
  | { readonly kind: 'look' }
  | { readonly kind: 'project' | 'turn'; readonly count: number }
  | { readonly kind: 'drop' | 'connect' | 'stall' | 'read'; readonly client: number }
  | { readonly kind: 'restart'; readonly isOrderly: boolean; readonly isOtherEpoch: boolean }
  | { readonly kind: 'settle' };

/** `by` is what could be read when it came: who was in the project is judged between the fact and that. */
interface ToldPub { readonly position: string; readonly key: string; readonly id: string; readonly channels: readonly string[]; readonly by: Position }

/** What a client was told on one subscription's word: a channel of a socket, or a whole stream. */
export interface Told {
  readonly name: string;
  readonly channels: readonly string[];
  /** Told to Ann, who hears what she may; or else to a system admin. */
  readonly isAnns: boolean;
  /** She may not listen, as she was told. */
  isOut: boolean;
  /** Where it began anew, and what it was told from there on. */
  readonly segments: { from: string; pubs: ToldPub[] }[];
  /** What contradicted the protocol. */
  readonly faults: string[];
  /** Positions up to which everything was settled while it listened. */
  readonly settled: Position[];
  notRecovered: number;
}

interface Client {
  readonly tolds: readonly Told[];
  isUp: boolean;
  isStalled: boolean;
  pipe: Pipe | undefined;
  connect(): void;
  /** Asks again for what she was told that she may not listen to, once she may. */
  askAgain(): void;
  drop(): void;
}

const CODEBASES = [KEY_A, KEY_B, KEY_C];
const SOCKET_CHANNELS = ['all', `codebase:${KEY_A}`, `project:${PROJECT}`];
const ANNS_SOCKET_CHANNELS = [`codebase:${KEY_A}`, `project:${PROJECT}`];
const STREAMS_CHANNELS = [[`project:${PROJECT}`, `codebase:${KEY_C}`], ['all', `codebase:${KEY_A}`], [`project:${PROJECT}`]];
const ANNS_STREAMS_CHANNELS = [[`project:${PROJECT}`], [`project:${PROJECT}`, `codebase:${KEY_B}`]];
const REFUSALS = ['codebase-unknown', 'project-unknown', 'access-lost'];
const TURNS_MAX = 4_000;

/** A notifier on memory adapters, and clients of both protocols, that are treated badly. */
export function createLiveWorld({ catchUpFacts, recentMax, backlogBytes, pauses }: { catchUpFacts: number; recentMax: number; backlogBytes: number; pauses: readonly number[] }) {
  const bench = createNotifierBench({ limits: { catchUpFacts, pageFacts: 7, backlogBytes, behindBytes: backlogBytes / 4 }, recentMax });
  let looks = 0;
  bench.pause = async () => { for (let turn = pauses[looks++ % pauses.length] ?? 0; turn > 0; turn -= 1) await nextTurn(); };
  let notifier: BenchNotifier = bench.startNotifier();
  let streams: EventStreams = createEventStreams(notifier.live);
  let epochs = 0;
  const sockets: Around['sockets'] = new Set();
  const around: Around = { bench, catchUpFacts, sockets, notifier: () => notifier, streams: () => streams };
  const clients: Client[] = [
    socketClient(around, { channels: SOCKET_CHANNELS, isAnns: false }), ...STREAMS_CHANNELS.map((channels, index) => streamClient(around, { channels, index, isAnns: false })),
    socketClient(around, { channels: ANNS_SOCKET_CHANNELS, isAnns: true }), ...ANNS_STREAMS_CHANNELS.map((channels, index) => streamClient(around, { channels, index, isAnns: true })),
  ];
  const pump = () => { for (const client of clients) if (client.isUp && !client.isStalled) client.pipe?.read(); };
  const turn = async () => { await nextTurn(); pump(); };

  async function restart(isOrderly: boolean, isOtherEpoch: boolean): Promise<void> {
    if (!isOrderly) for (const client of clients) client.drop();
    streams.stop();
    for (const socket of sockets) socket.close(4_001, 'the engine is stopping; come back');
    sockets.clear();
    pump();
    await notifier.stop();
    for (const client of clients) client.drop();
    if (isOtherEpoch) { epochs += 1; bench.epoch = `epoch ${epochs}`; }
    notifier = bench.startNotifier();
    streams = createEventStreams(notifier.live);
  }

  /** At once: what a codebase does right behind it can be read in the same moment. */
  async function change(codebase: string, isAtOnce: boolean, set: () => Promise<unknown>): Promise<void> {
    await set();
    if (!isAtOnce) return;
    await bench.append(codebase);
    bench.project();
  }

  /** Everybody listens and reads; then what must have been told by now is compared. */
  async function settle(): Promise<void> {
    bench.project();
    for (const client of clients) client.isStalled = false;
    const at = bench.visible;
    const isSettled = (client: Client) => client.tolds.every((told) => !mayListen(bench, told, at) || (client.isUp && !told.isOut && hasAll(bench, told, at)));
    for (let turns = 0; turns < TURNS_MAX && !(notifier.told() >= at && clients.every(isSettled)); turns += 1) {
      for (const client of clients) if (client.isUp) client.askAgain(); else if (client.tolds.some((told) => mayListen(bench, told, at))) client.connect();
      await turn();
    }
    for (let more = 0; more < 3; more += 1) await turn();
    for (const client of clients) for (const told of client.tolds) if (client.isUp && mayListen(bench, told, at)) told.settled.push(at);
  }

  return {
    bench, tolds: clients.flatMap(({ tolds }) => tolds), settle,
    async play(step: Step): Promise<void> {
      const client = 'client' in step ? clients[step.client % clients.length] : undefined;
      switch (step.kind) {
        case 'append': for (let count = 0; count < step.count; count += 1) await bench.append(CODEBASES[step.codebase] ?? KEY_A); break;
        case 'member': await change(CODEBASES[step.codebase] ?? KEY_A, step.isAtOnce, () => bench.setMember(CODEBASES[step.codebase] ?? KEY_A, step.isMember)); break;
        case 'right': await change(CODEBASES[step.what] ?? KEY_A, step.isAtOnce, () => (CODEBASES[step.what] === undefined ? bench.setPerson(step.may) : bench.setReads(CODEBASES[step.what] ?? KEY_A, step.may))); break;
        // Not waited for: it ends when it ends.
        case 'look': void notifier.fanOut.rights.look(); break;
        case 'project': bench.project(step.count); break;
        case 'turn': for (let count = 0; count < step.count; count += 1) await turn(); break;
        case 'drop': client?.drop(); break;
        case 'connect': if (client?.isUp === false) client.connect(); break;
        case 'stall': if (client !== undefined) client.isStalled = true; break;
        case 'read': if (client !== undefined) client.isStalled = false; pump(); break;
        case 'restart': await restart(step.isOrderly, step.isOtherEpoch); break;
        case 'settle': await settle(); break;
        default: step satisfies never;
      }
    },
    async end() { for (const client of clients) client.drop(); streams.stop(); await notifier.stop(); },
  };
}

/** What clients connect to: another one after each restart. */
interface Around { readonly bench: NotifierBench; readonly catchUpFacts: number; notifier(): BenchNotifier; streams(): EventStreams; readonly sockets: Set<{ close(code: number, reason: string): void }> }

function toldOf(name: string, channels: readonly string[], isAnns: boolean): Told {
  return { name: `${isAnns ? 'Ann\'s ' : ''}${name}`, channels, isAnns, isOut: false, segments: [], faults: [], settled: [], notRecovered: 0 };
}
const sinceOf = (told: Told) => {
  const segment = told.segments.at(-1);
  return segment === undefined ? undefined : segment.pubs.at(-1)?.position ?? segment.from;
};

function onSubscribed({ bench, catchUpFacts }: Around, told: Told, { position, recovered }: { position: string; recovered: boolean }): void {
  const since = sinceOf(told);
  if (!recovered) { told.notRecovered += 1; judgeLoss(bench, told, { since, position, catchUpFacts }); }
  if (recovered && since !== undefined && position !== since) told.faults.push(`recovered after ${since}, but at ${position}`);
  if (!recovered || since === undefined) told.segments.push({ from: position, pubs: [] });
}
function onPub({ bench }: Around, told: Told, pub: { position: string; previous: string; key: string; id: string; channels: readonly string[] }): void {
  if (pub.previous !== sinceOf(told)) told.faults.push(`previous of ${pub.position} is ${pub.previous}, told before was ${sinceOf(told)}`);
  told.segments.at(-1)?.pubs.push({ ...pub, by: bench.visible });
}

function socketClient(around: Around, { channels, isAnns }: { channels: readonly string[]; isAnns: boolean }): Client {
  const tolds = channels.map((ch) => toldOf(`socket ${ch}`, [ch], isAnns));
  const of = (ch: string) => tolds.find(({ channels }) => channels[0] === ch) as Told;
  let cut = () => {};
  let say = (_frame: object) => {};
  const subscribe = (told: Told) => {
    const since = sinceOf(told);
    told.isOut = false;
    say({ op: 'subscribe', ch: told.channels[0], ...(since === undefined ? {} : { since }) });
  };
  const client: Client = {
    tolds, isUp: false, isStalled: false, pipe: undefined,
    connect() {
      client.isUp = true;
      const here = openSocket(around.notifier().live, {
        principal: isAnns ? ANN : undefined,
        onFrame(frame) {
          if (client.pipe !== here.pipe) return;
          if (frame.op === 'subscribed') onSubscribed(around, of(frame.ch), frame);
          else if (frame.op === 'pub') onPub(around, of(frame.ch), { ...frame, channels: [frame.ch] });
          else if (frame.op === 'error' && isAnns && REFUSALS.includes(frame.code)) of(frame.ch ?? '').isOut = true;
          else if (frame.op === 'error') tolds[0]?.faults.push(`error ${frame.code}`);
        },
        onClose(code) { if (code !== 4_001 && code !== 4_008) tolds[0]?.faults.push(`closed with ${code}`); if (client.pipe === here.pipe) client.isUp = false; },
      });
      client.pipe = here.pipe;
      cut = here.cut;
      say = here.say;
      tolds.forEach(subscribe);
      around.sockets.add(here.served);
    },
    askAgain() { for (const told of tolds) if (told.isOut && mayListen(around.bench, told, around.bench.visible)) subscribe(told); },
    drop() { client.isUp = false; client.pipe = undefined; cut(); },
  };
  return client;
}

function streamClient(around: Around, { channels, index, isAnns }: { channels: readonly string[]; index: number; isAnns: boolean }): Client {
  const told = toldOf(`stream ${index}`, channels, isAnns);
  let cut = () => {};
  const client: Client = {
    tolds: [told], isUp: false, isStalled: false, pipe: undefined,
    connect() {
      client.isUp = true;
      const here = openStream(around.streams(), { channels, lastEventId: sinceOf(told), principal: isAnns ? ANN : undefined }, {
        onEvent({ name, id, data }) {
          if (client.pipe !== here.pipe) return;
          if (name === 'subscribed') onSubscribed(around, told, data as never);
          if (name === 'pub') { if (id !== (data as { position: string }).position) told.faults.push('an id that is not its position'); onPub(around, told, data as never); }
          if (name === 'error' && (data as { position: string }).position !== sinceOf(told)) told.faults.push(`told to resume after ${(data as { position: string }).position}, stood at ${sinceOf(told)}`);
        },
        onEnd(problem) { if (problem !== undefined && !(isAnns && REFUSALS.includes((problem as { code?: string }).code ?? ''))) told.faults.push(String(problem)); if (client.pipe === here.pipe || client.pipe === undefined) client.isUp = false; },
      });
      client.pipe = here.pipe;
      cut = here.cut;
    },
    // A stream ends with what it may not hear: it is asked for anew as a whole.
    askAgain() {},
    drop() { client.isUp = false; client.pipe = undefined; cut(); },
  };
  return client;
}

/** Whether she may listen at all, there; system admins may. */
const mayListen = (bench: NotifierBench, { channels, isAnns }: Told, at: Position) => !isAnns || channels.every((channel) => bench.mayAt(channel.slice(channel.indexOf(':') + 1), at));

/** Whether a fact belongs to one of the channels, and is for who listens, at every moment between its own and `until`, at some, or at none. */
function belongs(bench: NotifierBench, told: Told, fact: Recorded, { until, channels = told.channels }: { until: Position; channels?: readonly string[] }): 'always' | 'sometimes' | 'never' {
  const changes = [...bench.memberships, ...bench.rights].map(({ position }) => position).filter((position) => position > fact.position && position <= until);
  const states = new Set([fact.position, ...changes].map((at) => mayListen(bench, told, at) && channels.some((channel) => isTold(bench, { channel, fact, at, isAnns: told.isAnns }))));
  return states.size > 1 ? 'sometimes' : states.has(true) ? 'always' : 'never';
}

function isTold(bench: NotifierBench, { channel, fact, at, isAnns }: { channel: string; fact: Recorded; at: Position; isAnns: boolean }): boolean {
  const isOf = channel === 'all' || channel.endsWith(`:${fact.key}`) || (channel === `project:${PROJECT}` && bench.isMemberAt(fact.key, at));
  if (!isOf || !isAnns) return isOf;
  // Who else reads it is not for her, nor what the project has that she may not read.
  const about = fact.key === PROJECT ? (fact.data as { codebaseId?: string }).codebaseId : fact.key;
  return !fact.stream.startsWith('readers-') && (about === undefined || bench.mayAt(about, at));
}

function inside(bench: NotifierBench, outside: string): Position {
  // Facts and positions stay what they are when a log is moved; only its epoch is another.
  const found = positionInside(bench.epoch, positionOutside(bench.epoch, outside.slice(outside.indexOf('-') + 1) as Position));
  return found.kind === 'ok' ? found.position : '' as Position;
}

/** When a fact should have been told at the latest. */
const decidedBy = (bench: NotifierBench, told: Told, fact: Recorded) => told.settled.find((position) => position >= fact.position) ?? bench.visible;

function missingOf(bench: NotifierBench, told: Told, upTo: Position): Recorded[] {
  const got = new Set(told.segments.flatMap(({ pubs }) => pubs.map(({ id }) => id)));
  return told.segments.flatMap(({ from }, index) => {
    const begin = inside(bench, from);
    const next = told.segments[index + 1];
    // What lies between the end of a segment and the next was said to be missed.
    const last = told.segments[index]?.pubs.at(-1)?.position;
    const end = next === undefined ? upTo : last === undefined ? begin : inside(bench, last);
    return bench.all.filter((fact) => fact.position > begin && fact.position <= end && !got.has(fact.id) && belongs(bench, told, fact, { until: decidedBy(bench, told, fact) }) === 'always');
  });
}

function hasAll(bench: NotifierBench, told: Told, upTo: Position): boolean {
  return told.segments.length > 0 && missingOf(bench, told, upTo).length === 0;
}

/** What a client was told against the log. Empty when it is what it must be. */
export function judge(bench: NotifierBench, told: Told): string[] {
  const faults = [...told.faults, ...missingOf(bench, told, bench.visible).map(({ position }) => `not told: ${position}`)];
  const byId = new Map(bench.all.map((fact) => [fact.id as string, fact]));
  for (const { from, pubs } of told.segments) {
    let before = inside(bench, from);
    for (const pub of pubs) {
      const fact = byId.get(pub.id);
      if (fact === undefined || fact.position !== inside(bench, pub.position) || fact.key !== pub.key) { faults.push(`told what is not in the log: ${pub.id}`); continue; }
      if (fact.position <= before) faults.push(`told again, or out of order: ${fact.position}`);
      before = fact.position;
      if (belongs(bench, told, fact, { until: pub.by }) === 'never') faults.push(`told though not of the channel: ${fact.position}`);
      for (const channel of told.channels) {
        const verdict = belongs(bench, told, fact, { until: pub.by, channels: [channel] });
        if (verdict === 'always' && !pub.channels.includes(channel)) faults.push(`${fact.position} does not name ${channel}`);
        if (verdict === 'never' && pub.channels.includes(channel)) faults.push(`${fact.position} names ${channel}`);
      }
    }
  }
  return faults.map((fault) => `${told.name}: ${fault}`);
}

/** `recovered: false` is for another epoch, or more missed than the cap. */
function judgeLoss(bench: NotifierBench, told: Told, { since, position, catchUpFacts }: { since: string | undefined; position: string; catchUpFacts: number }): void {
  if (since === undefined) { told.faults.push('not recovered, without having asked for anything'); return; }
  if (since.slice(0, since.indexOf('-')) !== position.slice(0, position.indexOf('-'))) return;
  // What is of the channel and not for her is counted, too: nothing but its place is looked at.
  const missed = bench.all.filter((fact) => fact.position > inside(bench, since) && fact.position <= bench.visible && belongs(bench, { ...told, isAnns: false }, fact, { until: bench.visible }) !== 'never');
  if (missed.length <= catchUpFacts) told.faults.push(`not recovered, though only ${missed.length} were missed`);
}

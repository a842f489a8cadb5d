import { randomUUID } from 'node:crypto';
import { BEGINNING, type FactId, type Position, type StreamName } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { FactTopic, TopicWriter } from './fact-topic.ts';

/** A topic of the test's own, and a look at what stands in it: of each partition the positions, in order. */
export interface OpenedFactTopic {
  readonly topic: FactTopic;
  read(): Promise<readonly (readonly string[])[]>;
  close(): Promise<void>;
}

const EPOCH = 'epoch-1';
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** What every topic that the relay fills must do (fact-topic.ts). */
export function factTopicContract(name: string, openTopic: () => Promise<OpenedFactTopic>): void {
  describe(`${name} is a topic of facts`, () => {
    let opened: OpenedFactTopic;
    let writers: TopicWriter[] = [];
    beforeEach(async () => { opened = await openTopic(); });
    afterEach(async () => {
      await Promise.all(writers.splice(0).map((writer) => writer.close()));
      await opened.close();
    });
    const open = async (epoch = EPOCH) => {
      const writer = await opened.topic.open(epoch, new AbortController().signal);
      writers = [...writers, writer];
      return writer;
    };
    const write = (writer: TopicWriter, numbers: readonly number[]) => writer.write(numbers.map((number) => writer.place(factOf(number))));
    /** The highest of each partition, when facts up to there stand in it. */
    const highestOf = (writer: TopicWriter, numbers: readonly number[]) => Array.from({ length: writer.partitions }, (_, partition) =>
      numbers.map((number) => writer.place(factOf(number))).filter((one) => one.partition === partition).map(({ fact }) => fact.position).sort().at(-1) ?? BEGINNING);

    test('a new one is empty, and one key has one partition', async () => {
      const writer = await open();
      expect(writer.after).toBe(BEGINNING);
      expect(writer.highest).toEqual(Array.from({ length: writer.partitions }, () => BEGINNING));
      const places = numbers(40).map((number) => writer.place(factOf(number)));
      expect(new Set(places.map(({ fact, partition }) => `${fact.key} ${partition}`)).size).toBe(KEYS.length);
      expect(places.every(({ partition, bytes }) => partition >= 0 && partition < writer.partitions && bytes > 100)).toBe(true);
    });

    test('what was written stands there in order, and is found by who opens it next', async () => {
      const first = await open();
      await write(first, numbers(20));
      await write(first, numbers(30).slice(20));
      await first.checkpoint(at(30));
      const second = await open();
      expect(second.after).toBe(at(30));
      expect(second.highest).toEqual(highestOf(second, numbers(30)));
      const records = await opened.read();
      expect(records).toEqual(Array.from({ length: second.partitions }, (_, partition) => numbers(30).filter((number) => second.place(factOf(number)).partition === partition).map(at)));
    });

    test('what was written behind the last checkpoint is found too, also when there is none', async () => {
      const first = await open();
      await write(first, numbers(11));
      expect(await open()).toMatchObject({ after: BEGINNING, highest: highestOf(first, numbers(11)) });
      await first.checkpoint(at(11));
      await write(first, numbers(25).slice(11));
      expect(await open()).toMatchObject({ after: at(11), highest: highestOf(first, numbers(25)) });
    });

    test('what comes late from one who was stopped does not lower what is known', async () => {
      const stopped = await open();
      await write(stopped, numbers(10));
      await stopped.checkpoint(at(10));
      const next = await open();
      await write(next, numbers(30).slice(10));
      await next.checkpoint(at(30));
      await stopped.checkpoint(at(10));
      await expect(write(stopped, numbers(16).slice(10))).rejects.toMatchObject({ name: 'Unavailable' });
      const third = await open();
      expect(third).toMatchObject({ after: at(10), highest: highestOf(next, numbers(30)) });
      await third.checkpoint(at(30));
      expect(await open()).toMatchObject({ after: at(30), highest: highestOf(next, numbers(30)) });
    });

    test('who finds that another has written beside them does not go on from what they know', async () => {
      const one = await open();
      await write(one, numbers(20));
      await write(await open(), numbers(40).slice(20));
      await expect(write(one, numbers(40).slice(20))).rejects.toMatchObject({ name: 'Unavailable' });
      await one.checkpoint(at(20));
      expect(await open()).toMatchObject({ after: at(20), highest: highestOf(one, numbers(40)) });
    });

    test('of who opened it and wrote nothing, the checkpoint says what there was before', async () => {
      await write(await open(), numbers(9));
      const second = await open();
      await second.checkpoint(at(9));
      expect(await open()).toMatchObject({ after: at(9), highest: highestOf(second, numbers(9)) });
    });

    test('it is not filled from another log', async () => {
      const first = await open();
      await write(first, numbers(3));
      await first.checkpoint(at(3));
      await expect(open('epoch-2')).rejects.toMatchObject({ name: 'TopicUnfit', message: expect.stringContaining('epoch-1') as string });
    });
  });
}

export const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
export const at = (number: number) => String(number).padStart(20, '0') as Position;

export function factOf(number: number, { key = KEYS[number % KEYS.length]!, bytes = 10 } = {}): Recorded {
  return {
    id: randomUUID() as FactId, type: 'sync.requested', schemaVersion: 1, key, time: '2026-01-01T00:00:00.000Z', actor: { kind: 'worker', id: 'test' },
    correlationId: 'test', causationId: null, data: { padding: 'x'.repeat(bytes) }, stream: `command-${number}` as StreamName, revision: 0, position: at(number),
  };
}

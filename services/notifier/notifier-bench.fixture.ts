import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BEGINNING, type Position, type StreamName } from '#schemas/brand.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import { createMemoryEventLog } from '#shared/log/memory-event-log.ts';
import { newFact } from '#shared/runtime/new-fact.ts';
import type { IndexedFact } from '#shared/read-store/read-store.ts';

export const KEY_A = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
export const KEY_B = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';

/** A log, and the read tables behind it, which show what the projector has folded: up to `visible`. */
export function createNotifierBench() {
  const log = createMemoryEventLog();
  const all: Recorded[] = [];
  let visible: Position = BEGINNING;
  const bench = {
    log, all, epoch: 'an epoch',
    /** How many pages of the index were read. */
    pagesRead: 0,
    async append(key: string): Promise<Recorded> {
      const stream = `codebase-${randomUUID()}` as StreamName;
      await log.append(stream, 'noStream', [newFact({ type: 'hook.refused', key, actor: { kind: 'worker', id: 'w' }, correlationId: 'x', causationId: null, time: new Date(), data: { codebaseId: key as never, sourceId: randomUUID() as never, reason: 'r' } })]);
      const [fact] = await log.readStream(stream, { limit: 1 });
      all.push(fact as Recorded);
      return fact as Recorded;
    },
    project() { visible = all.at(-1)?.position ?? BEGINNING; },
    get visible() { return visible; },
    ofKey: (key: string | undefined) => all.filter((fact) => key === undefined || fact.key === key),
    store: {
      position: async () => visible,
      async facts({ key, after, limit }: { key?: string; after: Position; limit: number }): Promise<IndexedFact[]> {
        bench.pagesRead += 1;
        const found = all.filter((fact) => fact.position > after && fact.position <= visible && (key === undefined || fact.key === key)).slice(0, limit);
        await nextTurn();
        return found;
      },
    },
  };
  return bench;
}
export type NotifierBench = ReturnType<typeof createNotifierBench>;

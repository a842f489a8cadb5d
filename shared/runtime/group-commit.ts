export interface GroupCommit<Item, Result> {
  /** Resolves or rejects with what became of this item. */
  add(item: Item): Promise<Result>;
}

interface Waiting<Item, Result> { item: Item; resolve(result: Result): void; reject(error: unknown): void }

/**
 * What arrives while one commit is under way goes into the next, all together: no timer, no delay when idle, and one
 * round trip (or fsync) for many under load. `commit` gives one result an item, in order; when it throws, all of them failed.
 */
export function createGroupCommit<Item, Result>(options: {
  readonly itemsMax: number;
  readonly bytesMax: number;
  bytesOf(item: Item): number;
  commit(items: readonly Item[]): Promise<readonly Result[]>;
}): GroupCommit<Item, Result> {
  const queue: Waiting<Item, Result>[] = [];
  let isCommitting = false;

  return {
    add: (item) => new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (!isCommitting) void commitAll();
    }),
  };

  async function commitAll(): Promise<void> {
    isCommitting = true;
    while (queue.length > 0) {
      const group = takeGroup();
      try {
        const results = await options.commit(group.map((waiting) => waiting.item));
        group.forEach((waiting, index) => waiting.resolve(results[index] as Result));
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    isCommitting = false;
  }

  function takeGroup(): Waiting<Item, Result>[] {
    let bytes = 0;
    let count = 0;
    for (const { item } of queue) {
      bytes += options.bytesOf(item);
      if (count > 0 && (bytes > options.bytesMax || count >= options.itemsMax)) break;
      count += 1;
    }
    return queue.splice(0, count);
  }
}

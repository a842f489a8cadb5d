/**
 * One writer per repository at a time. What a push changed is found by comparing the refs before and after it,
 * so two pushes at once would each claim the other's changes.
 */
export interface RepositoryLocks {
  run<T>(projectId: number, work: () => Promise<T>): Promise<T>;
  /** Pushes under way or waiting for their turn: what they will fire is not yet known. */
  running(): number;
}

export function createRepositoryLocks(): RepositoryLocks {
  const tails = new Map<number, Promise<unknown>>();
  let running = 0;
  return {
    running: () => running,
    run: (projectId, work) => {
      const before = tails.get(projectId) ?? Promise.resolve();
      running += 1;
      const mine = before.then(work, work).finally(() => {
        running -= 1;
      });
      tails.set(projectId, mine.then(() => undefined, () => undefined));
      return mine;
    },
  };
}

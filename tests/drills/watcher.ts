import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { System } from '../harness/system.ts';
import type { Followed } from './fleet.ts';

export interface Watcher {
  /** Ends the watching. @throws AssertionError when anything vanished or parked meanwhile. Returns how often it looked at all of them */
  stop(): Promise<number>;
}

/** How often all is looked at: a ref that is gone for less is seen in the facts. */
const EVERY_MS = 250;

/**
 * I8: reads, over and over, what an engine shows of codebases of which nobody deletes these refs: what was there once must be there
 * at every later look. And nothing may park: GitLab's troubles are waited for.
 */
export function watchNothingVanishes(system: System, fleet: readonly Followed[], keptRefs: readonly string[]): Watcher {
  const stopping = new AbortController();
  const seen = new Set<string>();
  let looks = 0;
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const { codebases } = (await system.ask('GET', '/v1/codebases?limit=1000')).json<{ codebases: { id: string }[] }>();
      const listed = new Set(codebases.map(({ id }) => id));
      for (const { codebase } of fleet) {
        const { refs } = (await system.ask('GET', `/v1/codebases/${codebase}/refs`)).json<{ refs: { ref: string; commit: string | null }[] }>();
        const there = new Set(refs.filter(({ commit }) => commit !== null).map(({ ref }) => `${codebase} ${ref}`));
        assert.ok(listed.has(codebase), `codebase ${codebase} vanished from the list`);
        for (const one of seen) if (one.startsWith(codebase)) assert.ok(there.has(one), `${one} vanished, and GitLab has it`);
        for (const ref of keptRefs) if (there.has(`${codebase} ${ref}`)) seen.add(`${codebase} ${ref}`);
      }
      assert.deepEqual((await system.ask('GET', '/v1/parked')).json<{ parked: unknown[] }>().parked, [], 'a key was parked');
      looks += 1;
      await sleep(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  // Told by `stop`.
  watching.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      await watching;
      return looks;
    },
  };
}

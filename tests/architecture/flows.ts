import path from 'node:path';
import type { FactType } from '#schemas/events/facts.ts';
import type { Flow } from '#shared/runtime/flow.ts';
import { exists, read, root } from './source-files.ts';

/** The services in the order of the flow, as services/composition.ts names them (read, not imported: it opens everything). */
export const SERVICES: readonly string[] = [...(/SERVICE_NAMES = \[([^\]]*)\]/.exec(read('services/composition.ts'))?.[1] ?? '').matchAll(/'([a-z-]+)'/g)].map(([, name]) => name ?? '');

/** What each service declares in its flow.ts. */
export async function loadFlows(): Promise<Map<string, Flow>> {
  const declared = SERVICES.filter((name) => exists(`services/${name}/flow.ts`));
  return new Map(await Promise.all(declared.map(async (name) => {
    const { flow } = (await import(path.join(root, 'services', name, 'flow.ts'))) as { flow: Flow };
    return [name, flow] as const;
  })));
}

/** A loop that is meant. Without these the log would flow one way. */
export interface DeclaredLoop { readonly through: FactType; readonly into: string; readonly why: string }

export const DECLARED_LOOPS: readonly DeclaredLoop[] = [
  // Bounded: each failure counts its attempt, and after five the fetcher parks the key. The next attempt asks the head anew, so it
  // must begin where syncs begin; a retry inside of storage-writer would go on from packs that were found wrong.
  { through: 'sync.failed', into: 'fetcher', why: 'the next attempt is a new sync whose cause is the failure; after five the key is parked' },
];

/** Facts go from one service to another because the one emits what the other eats. */
export interface Edge { readonly from: string; readonly to: string; readonly type: FactType; readonly isLoop: boolean }

export function edgesOf(flows: ReadonlyMap<string, Flow>): Edge[] {
  const edges: Edge[] = [];
  for (const [from, { emits }] of flows) {
    for (const [to, { consumes }] of flows) {
      for (const type of emits) {
        if (consumes.includes(type)) edges.push({ from, to, type, isLoop: DECLARED_LOOPS.some((loop) => loop.through === type && loop.into === to) });
      }
    }
  }
  return edges;
}

/** The services on a way from one back to itself; undefined when there is none. */
export function wayBackTo(start: string, edges: readonly Edge[]): string[] | undefined {
  const seen = new Set<string>();
  const trails = [[start]];
  for (let trail = trails.shift(); trail !== undefined; trail = trails.shift()) {
    const here = trail.at(-1) ?? start;
    for (const { to } of edges.filter((edge) => edge.from === here)) {
      if (to === start) return [...trail, to];
      if (!seen.has(to)) trails.push([...trail, to]);
      seen.add(to);
    }
  }
  return undefined;
}

import type { Faults, HookFaultSpec } from '../http/faults.ts';
import type { PlannedDelivery } from './hook-request.ts';

/** What stands between an event and the queue: drops, doubles, delays or turns round what the faults name. */
export interface Disturbance {
  admit(planned: PlannedDelivery, url: string): void;
  /** Deliveries held back at the moment. */
  held(): number;
  stop(): void;
}

/** A reordering fault does not hold the last few for ever when no more come. */
const REORDER_HELD_MS_MAX = 2_000;

export function createDisturbance(faults: () => Faults, enqueue: (...planned: PlannedDelivery[]) => void): Disturbance {
  const groups = new Map<HookFaultSpec, PlannedDelivery[]>();
  const timers = new Set<NodeJS.Timeout>();
  let delayed = 0;
  const after = (milliseconds: number, act: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, milliseconds);
    timers.add(timer);
  };
  const release = (spec: HookFaultSpec, group: PlannedDelivery[]): void => {
    if (groups.get(spec) !== group) return;
    groups.delete(spec);
    enqueue(...group.reverse());
  };
  const hold = (spec: HookFaultSpec, planned: PlannedDelivery): void => {
    const group = groups.get(spec) ?? [];
    if (group.length === 0) after(REORDER_HELD_MS_MAX, () => release(spec, group));
    group.push(planned);
    groups.set(spec, group);
    if (group.length >= (spec.window ?? 2)) release(spec, group);
  };
  const delay = (milliseconds: number, planned: PlannedDelivery): void => {
    delayed += 1;
    after(milliseconds, () => {
      delayed -= 1;
      enqueue(planned);
    });
  };
  return {
    admit: (planned, url) => {
      const spec = faults().takeHook({ event: `${planned.trigger} ${planned.eventHeader}`, url, project: planned.projectId });
      switch (spec?.action) {
        case undefined:
          return enqueue(planned);
        case 'drop':
          return;
        case 'duplicate':
          return enqueue(planned, planned);
        case 'delay':
          return delay(spec?.delayMs ?? 1_000, planned);
        case 'reorder':
          return spec ? hold(spec, planned) : undefined;
      }
    },
    held: () => delayed + [...groups.values()].reduce((sum, group) => sum + group.length, 0),
    stop: () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

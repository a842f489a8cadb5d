import { STEPS, type Step, type Took } from '#shared/runtime/trail.ts';

/** Where deliveries and syncs of one life of an engine stand, by what it says at level debug. */
export interface Trail {
  /** A line of its stdout. */
  take(line: string): void;
  /** What is told when a step was just taken; may end the engine. */
  onStep: ((step: Step, of: string) => void) | undefined;
  /** The step that it took and did not yet leave behind; undefined when it ended, or took none in this life. */
  standsAt(of: string): Step | undefined;
  /** How many of what is under way stand at each step. */
  standing(): Map<Step, number>;
  /** All of this life and those before it. */
  readonly taken: ReadonlyMap<Step, number>;
  /** Another engine begins: what it does not say itself, it has not done. */
  begin(): void;
}

/** Commands that bring a sync, and deliveries that do: everything else ends where it is appended. */
const CAUSES = new Set(['push.received', 'sync.requested']);
type Line = Took & { readonly step?: Step | 'ended' };

export function readTrail(): Trail {
  /** Deliveries and commands whose sync has not begun, by correlation. */
  const arrivals = new Map<string, Step>();
  /** By id. `position` is where `codebase.stored` stands in the log. */
  const syncs = new Map<string, { readonly step: Step; readonly position: string | undefined }>();
  /** How far this life's projector and notifier are: a line of theirs may come before the one that says `stored`. */
  const reached = { projected: '', told: '' };
  const taken = new Map<Step, number>();

  const trail: Trail = {
    onStep: undefined,
    taken,
    begin() { arrivals.clear(); syncs.clear(); reached.projected = reached.told = ''; },
    standsAt: (of) => arrivals.get(of) ?? syncs.get(of)?.step,
    standing() {
      const counts = new Map<Step, number>();
      for (const step of [...arrivals.values(), ...[...syncs.values()].map((sync) => sync.step)]) counts.set(step, (counts.get(step) ?? 0) + 1);
      return counts;
    },
    take(line) {
      const said = parse(line);
      if (said?.step === undefined) return;
      if (said.step === 'ended') onEnded(said);
      else if (said.step === 'projected' || said.step === 'told') onReached(said.step, said.position ?? '');
      else if (said.sync === undefined) onArrival(said.step, said);
      else onSync(said.step, said.sync, said);
    },
  };
  return trail;

  function tell(step: Step, of: string): void {
    taken.set(step, (taken.get(step) ?? 0) + 1);
    trail.onStep?.(step, of);
  }

  function onArrival(step: Step, { correlation = '', type = '' }: Line): void {
    // What was given up as slow may have been appended all the same, a moment before it was spooled.
    if (!CAUSES.has(type) || arrivals.get(correlation) === 'appended') return;
    arrivals.set(correlation, step);
    tell(step, correlation);
  }

  function onSync(step: Step, sync: string, { correlation = '', position }: Line): void {
    arrivals.delete(correlation);
    syncs.set(sync, { step, position });
    tell(step, sync);
    onReached('projected', reached.projected);
    onReached('told', reached.told);
  }

  function onEnded({ sync = '', correlation = '' }: Line): void {
    arrivals.delete(correlation);
    syncs.delete(sync);
  }

  /** Syncs that were told stay: behind that is no step, only the end of the engine's own bookkeeping. */
  function onReached(step: 'projected' | 'told', to: string): void {
    if (to > reached[step]) reached[step] = to;
    for (const [sync, { step: before, position }] of syncs) {
      if (position === undefined || position > reached[step] || STEPS.indexOf(before) >= STEPS.indexOf(step)) continue;
      syncs.set(sync, { step, position });
      tell(step, sync);
    }
  }
}

function parse(line: string): Line | undefined {
  // Most lines are not of the trail.
  if (!line.includes('"step":')) return undefined;
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined; // The last line of a killed engine may be torn.
  }
}

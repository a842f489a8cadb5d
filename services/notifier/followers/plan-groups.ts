import type { CodebaseId, ObjectId, Position, RefName } from '#schemas/brand.ts';
import type { RefAt } from '#shared/read-store/ref-vectors.ts';

/** What a ref is held at: as in RefAt, without its name. */
export interface Tip { readonly commit: ObjectId | null; readonly tree: ObjectId }

interface OfCodebase { readonly codebaseId: CodebaseId; readonly position: Position }
interface OfRef extends OfCodebase { readonly ref: RefName }

/** One step from what is held to what is: all of it is told together, and it never changes once it was planned. */
export type Step =
  | OfRef & { readonly kind: 'moved'; readonly from: Tip | null; readonly to: Tip }
  | OfRef & { readonly kind: 'deleted' }
  | OfCodebase & { readonly kind: 'granted' | 'lost' | 'removed' };

export type Group = Step & { readonly seq: number };

/** Codebases, each with its refs: what a client holds once it was told everything up to some group. */
export type Held = Map<CodebaseId, Map<RefName, Tip & { readonly position: Position }>>;

/** What stands for a codebase now: to be shown, or why not. */
export type Verdict = 'shown' | 'lost' | 'removed';

export function heldOf(codebases: Iterable<CodebaseId>, refs: Iterable<RefAt>): Held {
  const held: Held = new Map();
  for (const id of codebases) held.set(id, new Map());
  for (const { codebaseId, ref, commit, tree, position } of refs) held.get(codebaseId)?.set(ref, { commit, tree, position });
  return held;
}

/** The held state after one more step. Changes `held`. */
export function applyStep(held: Held, step: Step): void {
  switch (step.kind) {
    case 'moved': refsOf(held, step.codebaseId).set(step.ref, { ...step.to, position: step.position }); return;
    case 'deleted': held.get(step.codebaseId)?.delete(step.ref); return;
    case 'granted': refsOf(held, step.codebaseId); return;
    case 'lost':
    case 'removed': held.delete(step.codebaseId); return;
    default: step satisfies never;
  }
}

function refsOf(held: Held, codebase: CodebaseId) {
  const refs = held.get(codebase) ?? new Map<RefName, Tip & { position: Position }>();
  held.set(codebase, refs);
  return refs;
}

/**
 * What must be dropped before anything else is told. Of a codebase that is dropped no queued step may be told any more: the
 * client forgets it whole, so whatever part of it was told before does no harm. The other queued steps stay as they are, and
 * in order: a client may have been told them already, and what follows builds upon that.
 */
export function withhold(held: Held, queue: readonly Group[], { verdictOf, position }: { verdictOf(codebase: CodebaseId): Verdict; position: Position }): { drops: Step[]; rest: readonly Group[] } {
  const after: Held = new Map([...held].map(([id, refs]) => [id, new Map(refs)]));
  for (const step of queue) applyStep(after, step);
  const drops = [...after.keys()].sort().flatMap((codebaseId): Step[] => {
    const kind = verdictOf(codebaseId);
    return kind === 'shown' ? [] : [{ kind, codebaseId, position }];
  });
  const dropped = new Set(drops.map(({ codebaseId }) => codebaseId));
  // One that was dropped by the queue's end, and is still not to be shown: its drop stays, what came before it goes.
  const isTold = (step: Group) => step.kind === 'lost' || step.kind === 'removed' || verdictOf(step.codebaseId) === 'shown';
  return { drops, rest: queue.filter((step) => !dropped.has(step.codebaseId) && isTold(step)) };
}

/**
 * The steps from what is held to what is, at most `stepsMax`, in the order in which the versions came into being. A codebase
 * is granted before its first version. `position` is that of `current`.
 */
export function planSteps(held: Held, current: Held, { position, stepsMax }: { position: Position; stepsMax: number }): { steps: Step[]; isWhole: boolean } {
  const moves: Step[] = [];
  for (const [codebaseId, refs] of current) {
    const before = held.get(codebaseId);
    if (before === undefined && refs.size === 0) moves.push({ kind: 'granted', codebaseId, position });
    for (const [ref, to] of refs) {
      const from = before?.get(ref);
      if (from !== undefined && from.commit === to.commit && from.tree === to.tree && from.position === to.position) continue;
      moves.push({ kind: 'moved', codebaseId, ref, from: from === undefined ? null : tipOf(from), to: tipOf(to), position: to.position });
    }
    for (const ref of before?.keys() ?? []) if (!refs.has(ref)) moves.push({ kind: 'deleted', codebaseId, ref, position });
  }
  const granted = new Set<CodebaseId>();
  const steps = moves.sort(byPosition).flatMap((step): Step[] => {
    const isFirst = step.kind === 'moved' && !held.has(step.codebaseId) && !granted.has(step.codebaseId);
    if (!isFirst) return [step];
    granted.add(step.codebaseId);
    return [{ kind: 'granted', codebaseId: step.codebaseId, position: step.position }, step];
  });
  return { steps: steps.slice(0, stepsMax), isWhole: steps.length <= stepsMax };
}

const tipOf = ({ commit, tree }: Tip): Tip => ({ commit, tree });

/** Then by name, so that the order is the same each time. */
const byPosition = (left: Step, right: Step) => compare(left.position, right.position) || compare(left.codebaseId, right.codebaseId) || compare(refOf(left), refOf(right));
const compare = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0);
const refOf = (step: Step) => ('ref' in step ? step.ref : '');

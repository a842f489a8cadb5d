import type { ObjectId, RefName } from '#schemas/brand.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import type { Fact } from '#schemas/events/facts.ts';

/** What a hint says the ref should point to. `deleted` for all zeros. */
export type Expected = ObjectId | 'deleted' | null;

/**
 * The commit that several hints of one ref, oldest first, expect together: the one that is `after` of one of them and
 * `before` of none (hooks arrive in any order); else what the newest names; null when none names anything.
 */
export function expectedOf(hints: readonly RefHint[]): Expected {
  const befores = new Set(hints.map((hint) => hint.before));
  const ends = new Set(hints.map((hint) => hint.after).filter((after) => after !== null && !befores.has(after)));
  const [only] = ends;
  const chosen = ends.size === 1 ? only : hints.at(-1)?.after;
  if (chosen === undefined || chosen === null) return null;
  return /^0+$/.test(chosen) ? 'deleted' : (chosen as ObjectId);
}

/** What a cause says of a ref; undefined when it does not name that ref. */
export function hintsOf(cause: Fact, ref: RefName): readonly RefHint[] | undefined {
  switch (cause.type) {
    case 'push.received': {
      const hints = cause.data.refs.filter((hint) => hint.ref === ref);
      return hints.length > 0 ? hints : undefined;
    }
    case 'sync.requested': return cause.data.ref === ref ? [] : undefined;
    // What the poll saw is not expected: GitLab may have gone on, and is asked anew.
    case 'gap.detected': return cause.data.ref === ref ? [] : undefined;
    default: return undefined;
  }
}

/** The refs that a cause names; undefined when it stands for every followed one. */
export function refsNamed(cause: Fact): readonly RefName[] | undefined {
  switch (cause.type) {
    case 'push.received': return cause.data.refs.length > 0 ? [...new Set(cause.data.refs.map((hint) => hint.ref as RefName))] : undefined;
    case 'sync.requested': return cause.data.ref === null ? undefined : [cause.data.ref];
    case 'gap.detected':
    case 'sync.failed': return [cause.data.ref];
    default: return undefined;
  }
}

/** The newest of the waiting causes that names this ref too, and so will look at GitLab later than this one could. */
export function newerOf(waiting: readonly Fact[], ref: RefName): Fact | undefined {
  return waiting.findLast((cause) => hintsOf(cause, ref) !== undefined);
}

import type { StreamName } from '#schemas/brand.ts';
import type { CommandMark } from '#schemas/events/fact.ts';
import type { Fact, NewFact } from '#schemas/events/facts.ts';
import { factsOf, type Apply } from '#shared/lifecycles/read-state.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Query } from '#shared/postgres/query.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { claimKey, keyReused } from './command-keys.ts';
import type { IfMatch } from './if-match.ts';
import type { CommandContext } from './register-source.ts';

export interface DecideDeps {
  readonly log: Pick<EventLog, 'append' | 'readStream'>;
  readonly vault: Pick<SecretVault, 'digest'>;
  readonly query: Query;
  now(): Date;
}

/** Everything that a stream of decisions says of itself. */
interface Decided { readonly revision: number; readonly decidedAt: number }

export interface Decision<State extends Decided> {
  readonly stream: StreamName;
  readonly apply: Apply<State>;
  readonly context: CommandContext;
  readonly ifMatch: IfMatch;
  /** All that makes this command what it is, its address too: the key's digest is over it. */
  readonly said: unknown;
  /** The fact that follows, or undefined when it is so already; given undefined when the stream has not begun. @throws Problem when it cannot be. */
  decide(state: State | undefined, mark: CommandMark): NewFact | undefined | Promise<NewFact | undefined>;
}

export interface Outcome<State> {
  /** As it was right after this command, also when it is told again later. */
  readonly state: State;
  /** The fact that the command made, now or the first time; undefined when nothing was to be done. */
  readonly fact: Fact | undefined;
  readonly isRepeated: boolean;
}

/** Others write to this stream at the same time: so often is it looked at again. Each time somebody has got ahead. */
const LOOKS_MAX = 50;

/**
 * One command on one stream: read, decide, append at the revision that was read; at most one append, and a command that stands
 * there already is answered from there. What the engine noted by itself (hooks) since the revision named is no conflict.
 * @throws Problem | Unavailable
 */
export async function decide<State extends Decided>(deps: DecideDeps, decision: Decision<State>): Promise<Outcome<State>> {
  const { stream, context, ifMatch } = decision;
  const mark: CommandMark = { id: context.key, digest: deps.vault.digest(JSON.stringify(decision.said)) };
  await claimKey(deps.query, { actorId: context.actor.id, key: context.key, digest: mark.digest });
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const { state, before } = await readDecided(deps, decision);
    if (before !== undefined) {
      if (before.mark.digest !== mark.digest) throw keyReused(context.key);
      return before;
    }
    if (state !== undefined && ifMatch !== 'any' && (ifMatch < state.decidedAt || ifMatch > state.revision)) throw changedMeanwhile(ifMatch, state.revision);
    const fact = await decision.decide(state, mark);
    if (fact === undefined) {
      if (state === undefined) throw new Error(`nothing was decided about ${stream}, which has not begun`);
      return { state, fact, isRepeated: false };
    }
    const appended = await deps.log.append(stream, state?.revision ?? 'noStream', [fact]);
    if (appended.kind === 'appended') {
      const recorded = { ...fact, stream, revision: appended.revision, position: appended.position } as Fact;
      return { state: decision.apply(state, recorded) as State, fact: recorded, isRepeated: false };
    }
  }
  throw new Problem(503, 'too-busy', `Others changed this ${LOOKS_MAX} times while this command was tried. Nothing was done; send it again.`, { retryAfterS: 1 });
}

interface Before<State> extends Outcome<State> { readonly mark: CommandMark }

/** The state now; and, if this command stands there, the state that it led to. */
async function readDecided<State extends Decided>({ log }: DecideDeps, { stream, apply, context }: Decision<State>): Promise<{ state: State | undefined; before: Before<State> | undefined }> {
  let state: State | undefined;
  let before: Before<State> | undefined;
  for await (const fact of factsOf(log, stream)) {
    state = apply(state, fact);
    const mark = 'command' in fact.data ? fact.data.command : undefined;
    if (mark?.id === context.key && fact.actor.id === context.actor.id && state !== undefined) before = { state, fact, mark, isRepeated: true };
  }
  return { state, before };
}

function changedMeanwhile(given: number, revision: number): Problem {
  return new Problem(412, 'changed-meanwhile', `If-Match names revision ${given}; it is at ${revision} by now, and somebody decided something since. Nothing was done. Get it again, and look at what it is now.`);
}

import type { Position } from '#schemas/brand.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import { createSubscription, type Line, type Subscription, type SubscriptionDeps } from './subscription.ts';

export interface OpenDeps extends SubscriptionDeps { readonly log: Pick<EventLog, 'readStream' | 'head'> }

export type Opened =
  | { readonly kind: 'opened'; readonly subscription: Subscription; readonly recovered: boolean }
  /** Nothing is subscribed. */
  | { readonly kind: 'refused'; readonly code: 'position-malformed' | 'position-ahead'; readonly detail: string };

type From = { readonly position: Position; readonly recovered: boolean } | Extract<Opened, { kind: 'refused' }>;

/** Decides from where on; what was missed is told by `catchUp`. @throws Unavailable */
export async function openSubscription(deps: OpenDeps, { channels, since, line }: { channels: readonly string[]; since: string | undefined; line: Line }): Promise<Opened> {
  const { members } = deps.fanOut;
  const projects = channels.filter((channel) => channel.startsWith('project:')).map((channel) => channel.slice('project:'.length));
  // Held before it is looked at: a change that is told meanwhile is looked at, too.
  for (const project of projects) members.hold(project);
  const release = () => { for (const project of projects) members.release(project); };
  try {
    for (const project of projects) await members.refresh(project);
    const from = await whereFrom(deps, { channels, projects, since });
    if ('kind' in from) { release(); return from; }
    return { kind: 'opened', subscription: createSubscription(deps, { channels, since: from.position, line }), recovered: from.recovered };
  } catch (error) {
    release();
    throw error;
  }
}

async function whereFrom(deps: OpenDeps, { channels, projects, since }: { channels: readonly string[]; projects: readonly string[]; since: string | undefined }): Promise<From> {
  const now = await deps.store.position();
  if (since === undefined) return { position: now, recovered: true };
  const inside = positionInside(deps.epoch, since);
  switch (inside.kind) {
    case 'malformed': return { kind: 'refused', code: 'position-malformed', detail: 'since= is no position as answers give them.' };
    case 'otherEpoch': return { position: now, recovered: false };
    case 'ok': break;
    default: inside satisfies never;
  }
  if (inside.position > now) {
    // The tables may be behind the log, and then it is told when they have come there; but nobody can have been told of what is not in the log.
    const head = await deps.log.head();
    if (inside.position > head) return { kind: 'refused', code: 'position-ahead', detail: `since= lies behind the last fact that there is, at ${positionOutside(deps.epoch, head)}. Is it a position of this engine? Load the state anew, and go on from there.` };
    return { position: inside.position, recovered: true };
  }
  const isTooMuch = await isMissingTooMuch(deps, { channels, projects, since: inside.position });
  return isTooMuch ? { position: now, recovered: false } : { position: inside.position, recovered: true };
}

async function isMissingTooMuch(deps: OpenDeps, { channels, projects, since }: { channels: readonly string[]; projects: readonly string[]; since: Position }): Promise<boolean> {
  const most = deps.limits.catchUpFacts;
  const recent = deps.fanOut.recent.after(since);
  if (recent !== undefined && recent.length <= most) return false;
  const missed = { after: since, limit: most + 1 };
  const codebases = channels.filter((channel) => channel.startsWith('codebase:')).map((channel) => channel.slice('codebase:'.length));
  const found = await deps.turns.take(async () => {
    if (channels.includes('all')) return deps.store.facts(missed);
    const looks = [];
    for (const project of projects) looks.push(...(await deps.fanOut.members.refresh(project)).codebases);
    return deps.store.factsOf({ ...missed, keys: [...new Set([...projects, ...codebases, ...looks])] });
  });
  return found.length > most;
}

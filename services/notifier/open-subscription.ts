import type { Position } from '#schemas/brand.ts';
import { positionInside, positionOutside } from '#schemas/positions.ts';
import { projectUnknown } from '#shared/access/guard.ts';
import { CHANNELS } from '#shared/access/policy.ts';
import { codebaseUnknown } from '#shared/access/reading.ts';
import type { EventLog } from '#shared/log/event-log.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { Problem } from '#shared/runtime/problem.ts';
import type { Hearing } from './rights.ts';
import { createSubscription, type Line, type Subscription, type SubscriptionDeps } from './subscription.ts';

export interface OpenDeps extends SubscriptionDeps { readonly log: Pick<EventLog, 'readStream' | 'head'> }

export type Opened =
  | { readonly kind: 'opened'; readonly subscription: Subscription; readonly recovered: boolean }
  /** Nothing is subscribed. */
  | { readonly kind: 'refused'; readonly problem: Problem };

interface Asked { readonly channels: readonly string[]; readonly since: string | undefined; readonly line: Line; readonly principal: Principal }

type From = { readonly position: Position; readonly recovered: boolean } | Extract<Opened, { kind: 'refused' }>;

/** Decides whether, and from where on; what was missed is told by `catchUp`. A channel that may not be listened to is refused like one of what is not there. @throws Unavailable */
export async function openSubscription(deps: OpenDeps, asked: Asked): Promise<Opened> {
  const { isSystemAdmin, actor } = asked.principal;
  if (isSystemAdmin) return openHeard(deps, { ...asked, hearing: undefined });
  const adminsOnly = asked.channels.find((channel) => levelAsked(channel) === 'system-admin');
  if (adminsOnly !== undefined) return { kind: 'refused', problem: mayNotListen(adminsOnly) };
  const hearing = deps.fanOut.rights.hold({ user: actor.id, channels: asked.channels });
  try {
    await deps.fanOut.rights.look();
    const refused = hearing.refused();
    const opened: Opened = refused === undefined ? await openHeard(deps, { ...asked, hearing }) : { kind: 'refused', problem: mayNotListen(refused) };
    if (opened.kind === 'refused') hearing.release();
    return opened;
  } catch (error) {
    hearing.release();
    throw error;
  }
}

async function openHeard(deps: OpenDeps, { channels, since, line, hearing }: Asked & { readonly hearing: Hearing | undefined }): Promise<Opened> {
  const { members } = deps.fanOut;
  const projects = channels.filter((channel) => channel.startsWith('project:')).map((channel) => channel.slice('project:'.length));
  // Held before it is looked at: a change that is told meanwhile is looked at, too.
  for (const project of projects) members.hold(project);
  const release = () => { for (const project of projects) members.release(project); };
  try {
    for (const project of projects) await members.refresh(project);
    const from = await whereFrom(deps, { channels, projects, since, hearing });
    if ('kind' in from) { release(); return from; }
    return { kind: 'opened', subscription: createSubscription(deps, { channels, since: from.position, line, hearing }), recovered: from.recovered };
  } catch (error) {
    release();
    throw error;
  }
}

/** The same words as an address has for it. */
function mayNotListen(channel: string): Problem {
  const [kind = '', id = ''] = channel.split(':');
  switch (kind) {
    case 'codebase': return codebaseUnknown(id);
    case 'project': return projectUnknown(id);
    default: return new Problem(403, 'not-allowed', `The channel ${JSON.stringify(channel)} is for a system admin. Listen to codebase:<id> or project:<id>: GET /v1/codebases and GET /v1/projects list yours.`);
  }
}

const levelAsked = (channel: string) => CHANNELS[channel === 'all' ? channel : channel.startsWith('codebase:') ? 'codebase:' : 'project:'].level;

interface Place { readonly channels: readonly string[]; readonly projects: readonly string[]; readonly hearing: Hearing | undefined }

async function whereFrom(deps: OpenDeps, { since, ...place }: Place & { since: string | undefined }): Promise<From> {
  const now = await deps.store.position();
  if (since === undefined) return { position: now, recovered: true };
  const inside = positionInside(deps.epoch, since);
  switch (inside.kind) {
    case 'malformed': return { kind: 'refused', problem: new Problem(400, 'position-malformed', 'since= is no position as answers give them.') };
    case 'otherEpoch': return { position: now, recovered: false };
    case 'ok': break;
    default: inside satisfies never;
  }
  if (inside.position > now) {
    // The tables may be behind the log, and then it is told when they have come there; but nobody can have been told of what is not in the log.
    const head = await deps.log.head();
    if (inside.position > head) return { kind: 'refused', problem: new Problem(400, 'position-ahead', `since= lies behind the last fact that there is, at ${positionOutside(deps.epoch, head)}. Is it a position of this engine? Load the state anew, and go on from there.`) };
    return { position: inside.position, recovered: true };
  }
  const isTooMuch = await isMissingTooMuch(deps, { ...place, since: inside.position });
  return isTooMuch ? { position: now, recovered: false } : { position: inside.position, recovered: true };
}

async function isMissingTooMuch(deps: OpenDeps, { channels, projects, since, hearing }: Place & { since: Position }): Promise<boolean> {
  const most = deps.limits.catchUpFacts;
  const recent = deps.fanOut.recent.after(since);
  if (recent !== undefined && recent.length <= most) return false;
  const missed = { after: since, limit: most + 1 };
  const codebases = channels.filter((channel) => channel.startsWith('codebase:')).map((channel) => channel.slice('codebase:'.length));
  const found = await deps.turns.take(async () => {
    if (channels.includes('all')) return deps.store.facts(missed);
    const looks = [];
    for (const project of projects) looks.push(...(await deps.fanOut.members.refresh(project)).codebases);
    return deps.store.factsOf({ ...missed, keys: [...new Set([...projects, ...codebases, ...looks.filter((one) => hearing?.mayHearOf(one) !== false)])] });
  });
  return found.length > most;
}

import type { ReadStore, RightsFound } from '#shared/read-store/read-store.ts';
import type { Recorded } from '#shared/log/event-log.ts';
import type { ToldFact } from './pub-frame.ts';

/** What one subscription of somebody who is no system admin may be told, as last looked at. Nothing before the first look. */
export interface Hearing {
  /** The first of its channels that may not be listened to. Once there is one, that is so for good. */
  refused(): string | undefined;
  mayHear(fact: Pick<ToldFact, 'key' | 'codebase' | 'isForReaders'>): boolean;
  mayHearOf(codebase: string): boolean;
  /** Called once, when a channel is lost from now on. */
  onLost(lost: () => void): void;
  release(): void;
}

/** What all those may hear who listen here and are no system admins: looked up for all of them at once, never for a fact. */
export interface Rights {
  /** As often as held, it must be released. Look before relying on it. */
  hold(listener: { readonly user: string; readonly channels: readonly string[] }): Hearing;
  /** Looks anew: what the tables show when it is called, is seen. Those who call meanwhile share the next look. @throws Unavailable */
  look(): Promise<void>;
  /** Whether any of these facts can change what somebody here may hear. */
  areChangedBy(facts: readonly Recorded[]): boolean;
}

export interface RightsDeps {
  readonly rightsOf: ReadStore['rightsOf'];
  /** The projects that somebody listens to and that a codebase is in. */
  projectsOf(codebase: string): Iterable<string>;
}

interface Held {
  readonly user: string;
  readonly codebases: readonly string[];
  readonly projects: readonly string[];
  found: RightsFound | undefined;
  refused: string | undefined;
  lost: () => void;
}

export function createRights({ rightsOf, projectsOf }: RightsDeps): Rights {
  const held = new Map<string, Set<Held>>();
  let current: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  return {
    hold({ user, channels }) {
      const one: Held = { user, codebases: named(channels, 'codebase:'), projects: named(channels, 'project:'), found: undefined, refused: undefined, lost: () => {} };
      held.set(user, (held.get(user) ?? new Set()).add(one));
      return {
        refused: () => one.refused,
        // What is nobody's in particular (a source's, a delivery's) has a key that nobody reads.
        mayHear: ({ key, codebase, isForReaders }) => one.refused === undefined && isForReaders && (reads(one, key) || one.found?.projects.has(key) === true) && (codebase === undefined || reads(one, codebase)),
        mayHearOf: (codebase) => one.refused === undefined && reads(one, codebase),
        onLost(lost) { one.lost = lost; },
        release() {
          const others = held.get(user);
          others?.delete(one);
          if (others?.size === 0) held.delete(user);
        },
      };
    },

    look,

    areChangedBy: (facts) => held.size > 0 && facts.some(concerns),
  };

  /** One after the other: an older look is never believed after a newer one. */
  function look(): Promise<void> {
    if (current === undefined) {
      current = lookNow().finally(() => { current = undefined; });
      return current;
    }
    next ??= current.catch(() => undefined).then(() => { next = undefined; return look(); });
    return next;
  }

  async function lookNow(): Promise<void> {
    const looked = [...held].map(([user, ofUser]) => ({ user, ofUser: [...ofUser] }));
    if (looked.length === 0) return;
    const found = await rightsOf(looked.map(({ user, ofUser }) => ({ user, codebases: distinct(ofUser.flatMap(({ codebases }) => codebases)), projects: distinct(ofUser.flatMap(({ projects }) => projects)) })));
    for (const { user, ofUser } of looked) for (const one of ofUser) judge(one, found.get(user) ?? NOTHING);
  }

  function judge(one: Held, found: RightsFound): void {
    one.found = found;
    if (one.refused !== undefined) return;
    const codebase = one.codebases.find((id) => !found.codebases.has(id));
    const project = one.projects.find((id) => !found.projects.has(id));
    one.refused = codebase !== undefined ? `codebase:${codebase}` : project !== undefined ? `project:${project}` : undefined;
    if (one.refused !== undefined && held.get(one.user)?.has(one) === true) one.lost();
  }

  /** By these the tables of who reads what change; tests/architecture holds the list. */
  function concerns({ type, stream, key, data }: Recorded): boolean {
    switch (type) {
      case 'codebase.readers-observed':
      case 'codebase.deleted': return [...projectsOf(key)].length > 0 || [...held.values()].some((ofUser) => [...ofUser].some(({ codebases }) => codebases.includes(key)));
      case 'user.gitlab-bound':
      case 'user.gitlab-unbound': return held.has((data as { readonly userId: string }).userId);
      // Of any project: it may let somebody read a codebase who does not listen to the project.
      default: return type.startsWith('source.') || stream.startsWith('project-');
    }
  }
}

const NOTHING: RightsFound = { codebases: new Set(), projects: new Set() };
const reads = ({ found }: Held, codebase: string) => found?.codebases.has(codebase) === true;
const distinct = (ids: readonly string[]) => [...new Set(ids)];
const named = (channels: readonly string[], prefix: string) => channels.filter((channel) => channel.startsWith(prefix)).map((channel) => channel.slice(prefix.length));

import type { Position } from '#schemas/brand.ts';
import type { ReadStore } from '#shared/read-store/read-store.ts';

/** Who is in the projects that somebody listens to, as last looked at. */
export interface ProjectMembers {
  /** From now on it is kept true; as often as held, it must be released. Look (`refresh`) before relying on it. */
  hold(project: string): void;
  release(project: string): void;
  isHeld(project: string): boolean;
  /** Looks anew. @throws Unavailable */
  refresh(project: string): Promise<Members>;
  /** The held projects that a codebase is in. */
  projectsOf(codebase: string): Iterable<string>;
  isMember(project: string, codebase: string): boolean;
}

export interface Members { readonly codebases: readonly string[]; readonly position: Position }

interface Held { holders: number; position: Position | undefined; codebases: ReadonlySet<string> }

export function createProjectMembers({ store }: { readonly store: Pick<ReadStore, 'members'> }): ProjectMembers {
  const projects = new Map<string, Held>();
  const byCodebase = new Map<string, Set<string>>();

  function replace(project: string, held: Held, codebases: ReadonlySet<string>): void {
    for (const left of held.codebases) {
      const others = byCodebase.get(left);
      others?.delete(project);
      if (others?.size === 0) byCodebase.delete(left);
    }
    held.codebases = codebases;
    for (const member of codebases) byCodebase.set(member, (byCodebase.get(member) ?? new Set()).add(project));
  }

  return {
    hold(project) {
      const held = projects.get(project) ?? { holders: 0, position: undefined, codebases: new Set() };
      held.holders += 1;
      projects.set(project, held);
    },
    release(project) {
      const held = projects.get(project);
      if (held === undefined) return;
      held.holders -= 1;
      if (held.holders > 0) return;
      replace(project, held, new Set());
      projects.delete(project);
    },
    isHeld: (project) => projects.has(project),

    async refresh(project) {
      const found = await store.members(project);
      const held = projects.get(project);
      // Two looks may end in the other order than they began: the older one is not believed.
      if (held !== undefined && (held.position === undefined || found.position >= held.position)) {
        held.position = found.position;
        replace(project, held, new Set(found.codebases));
      }
      return found;
    },

    projectsOf: (codebase) => byCodebase.get(codebase) ?? [],
    isMember: (project, codebase) => projects.get(project)?.codebases.has(codebase) ?? false,
  };
}

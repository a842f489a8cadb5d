import { z } from 'zod';
import { codebaseId, projectId } from '../brand.ts';
import { apiTime } from './receipt.ts';

/** `GET /v1/codebases/{id}/access`: who may read it, and why. System admins read everything, and are not named. */
export const codebaseAccess = z.object({
  codebase: codebaseId,
  /** By user id; who reads for several reasons stands there for each. */
  readers: z.array(z.object({
    userId: z.string(),
    /** Null of who was erased. */
    name: z.string().nullable(),
    because: z.enum(['gitlab', 'project']),
    /** Whom of the GitLab they are. */
    gitlabUserId: z.int().nullable(),
    project: z.object({ id: projectId, name: z.string() }).nullable(),
  })),
  gitlab: z.object({
    /** Whom GitLab lets read the code by their membership, known here or not. */
    users: z.int().min(0),
    /** Those of them who are nobody here: they read as soon as somebody is bound to them. The first 1,000. */
    unbound: z.array(z.int()),
    beyondMembers: z.enum(['nobody', 'signed-in', 'everybody']),
    /** Whoever is signed in reads it: so it was decided for the source's public and internal projects. */
    isOpen: z.boolean(),
    /** Since when it is so, as far as we looked. */
    observedAt: apiTime,
  }).nullable(),
  /** When GitLab last answered, and why it did not since. */
  askedAt: apiTime.nullable(),
  trouble: z.string().nullable(),
});
export type CodebaseAccess = z.infer<typeof codebaseAccess>;

/** `GET /v1/access`: who could read a codebase, or what somebody could read, as of a moment; and the fact with which it began. */
export const accessThen = z.object({
  /** As of this place in the log: facts behind it do not count. */
  position: z.string(),
  /** By codebase, then by user; who could read for several reasons stands there for each. System admins read everything; who was one is in no fact. */
  readings: z.array(z.object({
    codebase: codebaseId,
    /** Null: whoever was signed in. */
    userId: z.string().nullable(),
    /** As of now, like all names but a project's; null of who was erased. */
    name: z.string().nullable(),
    because: z.enum(['gitlab', 'project', 'open']),
    gitlabUserId: z.int().nullable(),
    project: z.object({ id: projectId, name: z.string() }).nullable(),
    /** The last of the facts that it took: from here on they could. */
    since: z.object({
      id: z.uuid(), type: z.string(), position: z.string(), time: apiTime,
      actor: z.object({ kind: z.string(), id: z.string(), name: z.string().nullable() }),
    }),
  })),
  /** What no fact says. `gitlab-readers`: GitLab had not said yet who reads this codebase; nobody could here by that. `bindings`: who was bound to whom in GitLab was not yet recorded: there may have been more. */
  unknown: z.array(z.object({ what: z.enum(['gitlab-readers', 'bindings']), codebase: codebaseId.nullable() })),
  /** Of somebody's: the address of what is behind the codebases that were looked at. */
  next: z.string().nullable(),
});
export type AccessThen = z.infer<typeof accessThen>;

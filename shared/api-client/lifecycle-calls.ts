import type { z } from 'zod';
import { codebaseChangedAnswer, type CodebaseChangedAnswer } from '#schemas/api/codebases.ts';
import { accessThen, codebaseAccess, type AccessThen, type CodebaseAccess } from '#schemas/api/access.ts';
import { auditPage, type AuditEntry, type AuditPage } from '#schemas/api/audit.ts';
import { memberList, projectChangedAnswer, projectDetail, projectPage, type MemberList, type ProjectChangedAnswer, type ProjectDetail, type ProjectSummary } from '#schemas/api/projects.ts';
import { sourceChangedAnswer, type SourceChangedAnswer } from '#schemas/api/sources.ts';
import type { changeSource, changeCodebase } from '#schemas/commands/commands.ts';
import type { MemberRole } from '#schemas/events/project-member-added.ts';
import type { Requests } from './requests.ts';

/** The revision that was seen, so that nobody's change is written over; absent: whatever is there. */
export interface Seen { readonly revision?: number }

/** What people decide about sources, projects and codebases. */
export interface LifecycleCalls {
  changeSource(id: string, change: z.input<typeof changeSource>, seen?: Seen): Promise<SourceChangedAnswer>;
  /** Who reads the code of its public and internal projects. */
  openProjects(id: string, readBy: 'members' | 'signed-in', seen?: Seen): Promise<SourceChangedAnswer>;
  rotateSecret(id: string, seen?: Seen): Promise<SourceChangedAnswer>;
  removeSource(id: string, seen?: Seen): Promise<SourceChangedAnswer>;
  changeCodebase(id: string, change: z.input<typeof changeCodebase>, seen?: Seen): Promise<CodebaseChangedAnswer>;
  archiveCodebase(id: string, seen?: Seen): Promise<CodebaseChangedAnswer>;
  restoreCodebase(id: string, seen?: Seen): Promise<CodebaseChangedAnswer>;
  removeCodebase(id: string, seen?: Seen): Promise<CodebaseChangedAnswer>;
  /** All of them, page by page; active and archived ones unless said. */
  projects(filter?: { state?: 'active' | 'archived' | 'removed' }): AsyncIterable<ProjectSummary>;
  project(id: string): Promise<ProjectDetail>;
  createProject(name: string): Promise<ProjectChangedAnswer>;
  renameProject(id: string, name: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  archiveProject(id: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  restoreProject(id: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  removeProject(id: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  addToProject(id: string, codebase: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  removeFromProject(id: string, codebase: string, seen?: Seen): Promise<ProjectChangedAnswer>;
  /** Whether the project's members read a codebase of it. */
  setReading(id: string, codebase: string, isRead: boolean): Promise<ProjectChangedAnswer>;
  /** Who may read a codebase, and why. */
  access(codebase: string): Promise<CodebaseAccess>;
  /** Of one of them, as of a moment; all of it, page after page. */
  accessThen(asked: { readonly codebase: string; readonly at?: string } | { readonly user: string; readonly at?: string }): Promise<AccessThen>;
  /** What was done and refused, the latest first, page after page. */
  audit(filter?: AuditAsked): AsyncIterable<AuditEntry>;
  members(id: string): Promise<MemberList['members']>;
  /** @param user a name or an id */
  setMember(id: string, user: string, role: MemberRole): Promise<ProjectChangedAnswer>;
  removeMember(id: string, userId: string): Promise<ProjectChangedAnswer>;
}

export interface AuditAsked { readonly actor?: string | undefined; readonly act?: string | undefined; readonly target?: string | undefined; readonly since?: string | undefined; readonly until?: string | undefined }

const PROJECTS_A_PAGE = 1_000;
const part = encodeURIComponent;

export function createLifecycleCalls({ ask }: Pick<Requests, 'ask'>): LifecycleCalls {
  const given = (seen: Seen | undefined, body: unknown = {}) => ({ body, ifMatch: seen?.revision === undefined ? '*' : `"${seen.revision}"` });
  const source = (id: string) => `/v1/sources/${part(id)}`;
  const codebase = (id: string) => `/v1/codebases/${part(id)}`;
  const project = (id: string) => `/v1/projects/${part(id)}`;

  return {
    changeSource: (id, change, seen) => ask(sourceChangedAnswer, 'PATCH', source(id), given(seen, change)),
    openProjects: (id, readBy, seen) => ask(sourceChangedAnswer, 'PUT', `${source(id)}/open-projects`, given(seen, { readBy })),
    rotateSecret: (id, seen) => ask(sourceChangedAnswer, 'POST', `${source(id)}/rotate-secret`, given(seen)),
    removeSource: (id, seen) => ask(sourceChangedAnswer, 'DELETE', source(id), given(seen)),
    changeCodebase: (id, change, seen) => ask(codebaseChangedAnswer, 'PATCH', codebase(id), given(seen, change)),
    archiveCodebase: (id, seen) => ask(codebaseChangedAnswer, 'POST', `${codebase(id)}/archive`, given(seen)),
    restoreCodebase: (id, seen) => ask(codebaseChangedAnswer, 'POST', `${codebase(id)}/restore`, given(seen)),
    removeCodebase: (id, seen) => ask(codebaseChangedAnswer, 'DELETE', codebase(id), given(seen)),

    async *projects({ state } = {}) {
      let next: string | null = `/v1/projects?limit=${PROJECTS_A_PAGE}${state === undefined ? '' : `&state=${state}`}`;
      while (next !== null) {
        const page: z.output<typeof projectPage> = await ask(projectPage, 'GET', next);
        yield* page.projects;
        next = page.next;
      }
    },
    project: (id) => ask(projectDetail, 'GET', project(id)),
    createProject: (name) => ask(projectChangedAnswer, 'POST', '/v1/projects', { body: { name } }),
    renameProject: (id, name, seen) => ask(projectChangedAnswer, 'PATCH', project(id), given(seen, { name })),
    archiveProject: (id, seen) => ask(projectChangedAnswer, 'POST', `${project(id)}/archive`, given(seen)),
    restoreProject: (id, seen) => ask(projectChangedAnswer, 'POST', `${project(id)}/restore`, given(seen)),
    removeProject: (id, seen) => ask(projectChangedAnswer, 'DELETE', project(id), given(seen)),
    addToProject: (id, one, seen) => ask(projectChangedAnswer, 'PUT', `${project(id)}/codebases/${part(one)}`, given(seen)),
    setReading: (id, one, isRead) => ask(projectChangedAnswer, isRead ? 'PUT' : 'DELETE', `${project(id)}/codebases/${part(one)}/readers`, given(undefined)),
    access: (id) => ask(codebaseAccess, 'GET', `${codebase(id)}/access`),
    async accessThen(asked) {
      const [readings, unknown]: [AccessThen['readings'], AccessThen['unknown']] = [[], []];
      let page: AccessThen = await ask(accessThen, 'GET', `/v1/access?${new URLSearchParams(asked).toString()}`);
      const { position } = page;
      for (;;) {
        readings.push(...page.readings);
        unknown.push(...page.unknown.filter(({ what, codebase: of }) => !unknown.some((one) => one.what === what && one.codebase === of)));
        if (page.next === null) return { position, readings, unknown, next: null };
        page = await ask(accessThen, 'GET', page.next);
      }
    },
    async *audit(filter = {}) {
      const asked = Object.entries(filter).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
      for (let next: string | null = `/v1/audit?${new URLSearchParams(asked).toString()}`; next !== null;) {
        const page: AuditPage = await ask(auditPage, 'GET', next);
        yield* page.entries;
        next = page.next;
      }
    },
    members: async (id) => (await ask(memberList, 'GET', `${project(id)}/members`)).members,
    setMember: (id, user, role) => ask(projectChangedAnswer, 'PUT', `${project(id)}/members/${part(user)}`, given(undefined, { role })),
    removeMember: (id, user) => ask(projectChangedAnswer, 'DELETE', `${project(id)}/members/${part(user)}`, given(undefined)),
    removeFromProject: (id, one, seen) => ask(projectChangedAnswer, 'DELETE', `${project(id)}/codebases/${part(one)}`, given(seen)),
  };
}

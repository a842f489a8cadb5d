import type { z } from 'zod';
import { codebaseChangedAnswer, type CodebaseChangedAnswer } from '#schemas/api/codebases.ts';
import { projectChangedAnswer, projectDetail, projectPage, type ProjectChangedAnswer, type ProjectDetail, type ProjectSummary } from '#schemas/api/projects.ts';
import { sourceChangedAnswer, type SourceChangedAnswer } from '#schemas/api/sources.ts';
import type { changeSource, changeCodebase } from '#schemas/commands/commands.ts';
import type { Requests } from './requests.ts';

/** The revision that was seen, so that nobody's change is written over; absent: whatever is there. */
export interface Seen { readonly revision?: number }

/** What people decide about sources, projects and codebases. */
export interface LifecycleCalls {
  changeSource(id: string, change: z.input<typeof changeSource>, seen?: Seen): Promise<SourceChangedAnswer>;
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
}

const PROJECTS_A_PAGE = 1_000;
const part = encodeURIComponent;

export function createLifecycleCalls({ ask }: Pick<Requests, 'ask'>): LifecycleCalls {
  const given = (seen: Seen | undefined, body: unknown = {}) => ({ body, ifMatch: seen?.revision === undefined ? '*' : `"${seen.revision}"` });
  const source = (id: string) => `/v1/sources/${part(id)}`;
  const codebase = (id: string) => `/v1/codebases/${part(id)}`;
  const project = (id: string) => `/v1/projects/${part(id)}`;

  return {
    changeSource: (id, change, seen) => ask(sourceChangedAnswer, 'PATCH', source(id), given(seen, change)),
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
    removeFromProject: (id, one, seen) => ask(projectChangedAnswer, 'DELETE', `${project(id)}/codebases/${part(one)}`, given(seen)),
  };
}

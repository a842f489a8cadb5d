import { z } from 'zod';
import { projectId } from '../brand.ts';
import { memberRole } from '../events/project-member-added.ts';
import { codebaseSummary } from './codebases.ts';
import { apiTime } from './receipt.ts';

const named = { id: projectId, name: z.string(), state: z.enum(['active', 'archived', 'removed']), revision: z.int().min(0) };

/** One row of `GET /v1/projects`. */
export const projectSummary = z.object({ ...named, createdAt: apiTime, removedAt: apiTime.nullable(), codebaseCount: z.int().min(0) });
export type ProjectSummary = z.infer<typeof projectSummary>;

/** `GET /v1/projects` */
export const projectPage = z.object({ projects: z.array(projectSummary), next: z.string().nullable() });

/** `GET /v1/projects/{id}`: with its codebases, the first 1,000; `next` is where the others are. */
export const projectDetail = projectSummary.extend({ codebases: z.array(codebaseSummary), next: z.string().nullable() });
export type ProjectDetail = z.infer<typeof projectDetail>;

/** What a command on a project answers. */
export const projectChangedAnswer = z.object(named);
export type ProjectChangedAnswer = z.infer<typeof projectChangedAnswer>;

/** `GET /v1/projects/{id}/members` */
export const memberList = z.object({ members: z.array(z.object({ userId: z.string(), name: z.string().nullable(), role: memberRole, since: apiTime })) });
export type MemberList = z.infer<typeof memberList>;

import { z } from 'zod';
import { gitObjectFormat, gitlabProjectId, objectId } from '../brand.ts';

/** What we read of GitLab's REST v4 answers. Loose about fields that we do not use, strict about those that we do. */

/** GET /metadata, or /version before 15.2. */
export const restVersion = z.looseObject({ version: z.string().min(1).max(100) });

/** GET /projects/:id. `default_branch` is left out for who may not read code; `repository_object_format` before 16.9. */
export const restProject = z.looseObject({
  id: gitlabProjectId,
  path_with_namespace: z.string().min(1),
  default_branch: z.string().min(1).nullish(),
  empty_repo: z.boolean(),
  archived: z.boolean().nullish(),
  visibility: z.string().min(1),
  http_url_to_repo: z.url({ protocol: /^https?$/ }),
  repository_object_format: gitObjectFormat.nullish(),
  /** enabled, private (for members only) or disabled. */
  repository_access_level: z.string().nullish(),
  // A fork whose parent went private names it without an id, or not at all.
  forked_from_project: z.looseObject({ id: gitlabProjectId.nullish() }).nullish(),
});

/** An entry of GET /projects?simple=true: all that is asked of it is which it is. */
export const restProjectNamed = z.looseObject({ id: gitlabProjectId });

/** An entry of GET /projects/:id/members/all, and what GET /projects/:id/members/all/:user_id answers. Levels are compared, never enumerated; `membership_state` since 14.x. */
export const restMember = z.looseObject({
  id: z.int().min(1),
  access_level: z.int(),
  state: z.string().min(1),
  expires_at: z.string().nullish(),
  membership_state: z.string().nullish(),
});

/** What a branch or tag points to. GitLab before 12.9 leaves the parents empty in lists. */
const refCommit = z.looseObject({ id: objectId, parent_ids: z.array(objectId).nullish() });

/** GET /projects/:id/repository/branches[/:name] */
export const restBranch = z.looseObject({ name: z.string().min(1), commit: refCommit });

/** GET /projects/:id/repository/tags[/:name]. `commit` is the peeled one; null when the tag names a blob or a tree. */
export const restTag = z.looseObject({ name: z.string().min(1), commit: refCommit.nullable() });

/** GET /projects/:id/repository/commits/:sha */
export const restCommit = z.looseObject({ id: objectId });

/** GET, POST and PUT /projects/:id/hooks[/:id]. `signing_token_present` since 19.0, `alert_status` since 15.7. */
export const restHook = z.looseObject({
  id: z.int().min(1),
  url: z.string().min(1),
  push_events: z.boolean(),
  push_events_branch_filter: z.string().nullish(),
  branch_filter_strategy: z.string().nullish(),
  signing_token_present: z.boolean().nullish(),
  alert_status: z.string().nullish(),
});

/** GET /personal_access_tokens/self (15.5): personal, project and group tokens. `expires_at` is a day; null is for ever. */
export const restTokenSelf = z.looseObject({
  name: z.string().nullish(),
  scopes: z.array(z.string().max(200)).max(200),
  expires_at: z.string().max(40).nullish(),
});

/** GET /user. `is_admin` stands there only for administrators, `bot` since 13.x. */
export const restCurrentUser = z.looseObject({ username: z.string().min(1).max(300), is_admin: z.boolean().nullish(), bot: z.boolean().nullish() });

/** An entry of GET /groups */
export const restGroup = z.looseObject({ id: z.int().min(1), full_path: z.string().min(1), name: z.string(), visibility: z.string().min(1) });

const restAccess = z.looseObject({ access_level: z.int() }).nullish();

/** An entry of GET /projects and GET /groups/:id/projects. `statistics` only where asked for, and not below groups. */
export const restListedProject = z.looseObject({
  id: gitlabProjectId,
  path_with_namespace: z.string().min(1),
  name: z.string(),
  archived: z.boolean().nullish(),
  empty_repo: z.boolean().nullish(),
  last_activity_at: z.string().nullish(),
  default_branch: z.string().min(1).nullish(),
  visibility: z.string().min(1),
  repository_access_level: z.string().nullish(),
  statistics: z.looseObject({ repository_size: z.int().min(0).nullish() }).nullish(),
  permissions: z.looseObject({ project_access: restAccess, group_access: restAccess }).nullish(),
});

/** A refusal in GitLab's own words: `{"message": …}`, `{"error": …}` or `{"error", "error_description", "scope"}`. */
export const restRefusal = z.union([
  z.looseObject({ error: z.string(), error_description: z.string().optional() }),
  z.looseObject({ message: z.unknown().refine((message) => message !== undefined && message !== null, 'no message') }),
]);

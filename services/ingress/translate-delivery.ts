import { gitlabProjectId, refName, type GitLabProjectId } from '#schemas/brand.ts';
import type { RefHint } from '#schemas/events/push-received.ts';
import { webhookBody, type WebhookBody } from '#schemas/gitlab/webhook.ts';

/** What a delivery asks for. */
export type Meaning =
  | { readonly kind: 'push'; readonly project: GitLabProjectId; readonly refs: readonly RefHint[] }
  | { readonly kind: 'hint'; readonly about: 'members' | 'projects'; readonly event: string; readonly project: GitLabProjectId | null }
  | { readonly kind: 'ignored'; readonly reason: string };

/** A push of more refs, or of longer names, is taken as "look at every followed ref": the fact stays well under 1 MiB. */
const REFS_MAX = 2_000;
const REFS_BYTES_MAX = 512 * 1_024;

const PUSHES = new Set(['push', 'tag_push', 'repository_update']);
/** Who is in something, or is anybody at all, may be another now. */
const MEMBERS = /^user_(?:(?:add_to|remove_from|update_for)_(?:team|group)|destroy|block|unblock)$/;
/** A group that goes takes along what was shared with it, wherever that lies. */
const PROJECTS = /^(?:project_(?:create|destroy|rename|transfer|update)|(?:sub)?group_destroy)$/;
/** Told of groups and people, and nobody reads another codebase for it: not worth a look at every codebase of the source. */
const NOBODY_READS_ANOTHER: readonly (readonly [RegExp, string])[] = [
  [/^(?:group|user)_rename$/, 'only a name changed, and everything is known by its id: paths are learnt with the next sync'],
  [/^(?:group|subgroup|user)_create$/, 'it is new: nothing that is followed is in it yet'],
  [/^user_access_request_/, 'what was asked for is not given yet; when it is, that is told too'],
];

/** Reads a delivery's raw bytes for what routes it. Never throws: whatever came is at least ignored, with the reason. */
export function translateDelivery(bytes: Buffer): Meaning {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    return ignored('the body is not JSON');
  }
  if (Array.isArray(parsed) || typeof parsed !== 'object' || parsed === null) return ignored('the body is JSON, but no object');
  const body = webhookBody.safeParse(parsed);
  return body.success ? meaningOf(body.data) : ignored('the body is JSON, but of no shape that GitLab sends');
}

function meaningOf(body: WebhookBody): Meaning {
  const event = body.object_kind ?? body.event_name ?? body.event_type;
  if (event === undefined) return ignored('neither object_kind nor event_name: does the webhook have a custom template? Remove it in GitLab');
  if (PUSHES.has(event) || PUSHES.has(body.event_name ?? '')) return pushOf(body, event);
  const project = projectOf(body) ?? null;
  if (MEMBERS.test(event)) return { kind: 'hint', about: 'members', event, project };
  if (PROJECTS.test(event)) return { kind: 'hint', about: 'projects', event, project };
  const why = NOBODY_READS_ANOTHER.find(([events]) => events.test(event));
  if (why !== undefined) return ignored(`${event.slice(0, 100)}: ${why[1]}`);
  return ignored(`events of kind ${JSON.stringify(event.slice(0, 100))} ask for no work`);
}

function pushOf(body: WebhookBody, event: string): Meaning {
  const project = projectOf(body);
  if (project === undefined) return ignored(`a ${event.slice(0, 100)} without a project_id`);
  const named = body.changes ?? (body.ref === undefined ? [] : [{ ref: body.ref, before: body.before, after: body.after }]);
  const refs = named.map(hintOf);
  const areUsable = refs.length > 0 && refs.length <= REFS_MAX && refs.every((hint) => hint !== undefined) && Buffer.byteLength(JSON.stringify(refs)) <= REFS_BYTES_MAX;
  // An authentic push that names no ref we can use is still a hint: every followed ref is looked at.
  return { kind: 'push', project, refs: areUsable ? refs : [] };
}

function hintOf({ ref, before, after }: { ref?: string | undefined; before?: string | undefined; after?: string | undefined }): RefHint | undefined {
  const name = refName.safeParse(ref);
  return !name.success ? undefined : { ref: name.data, before: commitOrNull(before), after: commitOrNull(after) };
}

const commitOrNull = (value: string | undefined) => (value !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(value) ? value : null);

function projectOf(body: WebhookBody): GitLabProjectId | undefined {
  const parsed = gitlabProjectId.safeParse(body.project_id ?? body.project?.id);
  return parsed.success ? parsed.data : undefined;
}

const ignored = (reason: string): Meaning => ({ kind: 'ignored', reason });

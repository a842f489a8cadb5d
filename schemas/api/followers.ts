import { z } from 'zod';
import { allowAddresses } from '../addresses.ts';
import { codebaseId, objectId, refName } from '../brand.ts';
import { apiPosition, apiTime } from './receipt.ts';

/** 1,000 listed codebases are 40 KB of command; who follows more follows a project, or all. */
const LISTED_MAX = 1_000;
const PATTERNS_MAX = 100;

export const followerName = z.string().regex(/^[a-z0-9._-]{1,100}$/, 'a name of 1 to 100 characters: a to z, 0 to 9, ".", "_", "-"').refine((name) => !/^\.\.?$/.test(name), 'a name is not "." or ".."');

/** Only http and https, and no user or password in it: those would be told to whoever may look at the follower. */
const webhookUrl = z.string().max(2_000).refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}, 'an http or https URL without user and password');

/** `POST /v1/followers` */
export const createFollower = z.strictObject({
  name: followerName,
  codebases: z.array(codebaseId).min(1).max(LISTED_MAX).optional(),
  project: z.uuid().optional(),
  all: z.literal(true).optional(),
  /** `main` is `refs/heads/main`; `*` matches anything, "/" too. Without: the default branch of each codebase. */
  refs: z.array(z.string().min(1).max(255).regex(/^[^\u0000-\u0020]+$/, 'a pattern of ref names')).min(1).max(PATTERNS_MAX).optional(),
  webhook: z.strictObject({
    url: webhookUrl,
    /** Where the receiver may be beside the public network: private ranges, `10.0.0.0/8`. For system admins. */
    allowAddresses: allowAddresses.optional(),
  }).optional(),
}).refine(({ codebases, project, all }) => [codebases, project, all].filter((one) => one !== undefined).length === 1, { message: 'say what to follow: one of codebases, project and all', path: ['codebases'] });
export type CreateFollower = z.output<typeof createFollower>;

/** `GET /v1/followers/{name}` */
export const follower = z.object({
  name: followerName,
  codebases: z.array(codebaseId).optional(),
  project: z.string().optional(),
  all: z.literal(true).optional(),
  refs: z.array(z.string()).nullable(),
  createdAt: apiTime,
  generation: z.int().min(1),
  /** The newest end that was acknowledged; null before the first. */
  position: apiPosition.nullable(),
  /** Where the feed goes on without `after`. */
  cursor: z.string(),
  /** Planned and not yet acknowledged: refs to be moved, codebases to be given or taken. */
  queuedGroups: z.int().min(0),
  lastAckAt: apiTime.nullable(),
  webhook: z.object({
    url: z.string(), state: z.enum(['active', 'failing', 'disabled']), failures: z.int().min(0),
    lastError: z.string().nullable(), lastDeliveredAt: apiTime.nullable(), nextTryAt: z.string(),
  }).nullable(),
});
export type FollowerAnswer = z.infer<typeof follower>;

/** `POST /v1/followers`: the webhook's secret is told this once. */
export const followerCreated = follower.extend({ webhookSecret: z.string().optional() });
export type FollowerCreated = z.infer<typeof followerCreated>;

/** `GET /v1/followers` */
export const followerList = z.object({ followers: z.array(follower) });

/** `POST /v1/followers/{name}/ack` */
export const ackCursor = z.strictObject({ cursor: z.string().min(1).max(40_000) });
export const acknowledged = z.object({ cursor: z.string(), position: apiPosition.nullable() });
export type Acknowledged = z.infer<typeof acknowledged>;

const cursor = z.string();
const tip = z.object({ commit: objectId.nullable(), tree: objectId });
/** `pathHex` is there when the text is not the whole truth. */
const atPath = { codebase: codebaseId, ref: refName, path: z.string(), pathHex: z.string().optional(), cursor };
const ofCodebase = { codebase: codebaseId, cursor };

/** One line of `GET /v1/followers/{name}/changes`, in the order in which they are to be applied. */
export const followerEntry = z.discriminatedUnion('op', [
  z.object({ op: z.literal('upsert'), ...atPath, mode: z.string(), blob: objectId }),
  z.object({ op: z.literal('delete'), ...atPath }),
  /** The ref's files are now those of `to`. */
  z.object({ op: z.literal('ref-moved'), codebase: codebaseId, ref: refName, from: tip.nullable(), to: tip, position: apiPosition, cursor }),
  /** Drop everything of the ref. */
  z.object({ op: z.literal('ref-deleted'), codebase: codebaseId, ref: refName, cursor }),
  /** Its whole state follows. */
  z.object({ op: z.literal('access-granted'), ...ofCodebase }),
  /** Drop everything of the codebase. */
  z.object({ op: z.literal('access-lost'), ...ofCodebase }),
  z.object({ op: z.literal('codebase-removed'), ...ofCodebase }),
  /** Now you hold what a snapshot at this position shows. */
  z.object({ op: z.literal('end'), position: apiPosition, cursor }),
]);
export type FollowerEntry = z.infer<typeof followerEntry>;

/** One line of `GET /v1/followers/{name}/snapshot`. Files are of the ref named before them. */
export const snapshotLine = z.discriminatedUnion('op', [
  z.object({ op: z.literal('snapshot'), position: apiPosition }),
  z.object({ op: z.literal('ref'), codebase: codebaseId, ref: refName, commit: objectId.nullable(), tree: objectId, position: apiPosition }),
  z.object({ op: z.literal('file'), path: z.string(), pathHex: z.string().optional(), mode: z.string(), blob: objectId }),
  z.object({ op: z.literal('end'), position: apiPosition, cursor }),
  /** No end: what may be read changed meanwhile. Drop what came, and ask again. */
  z.object({ op: z.literal('cut'), detail: z.string() }),
]);
export type SnapshotLine = z.infer<typeof snapshotLine>;

/**
 * What an outgoing webhook brings. `attempt` grows with every sending: one below what you have seen was on its way for long,
 * and must not be applied (answer 409). The same entries may come again, as after a lost answer, and may be applied again.
 */
export const followerBatch = z.object({ follower: followerName, attempt: z.int().min(1), after: z.string(), cursor: z.string(), entries: z.array(followerEntry) });
export type FollowerBatch = z.infer<typeof followerBatch>;

import { createHash } from 'node:crypto';
import { v5 } from 'uuid';
import type { CodebaseId, FactId, GitLabProjectId, ObjectId, ProjectId, RefName, SourceId, StreamName, SyncId } from './brand.ts';

// Ids that follow from others, so that nobody needs to look them up, and doing a thing twice makes the same id twice.

/** The same GitLab project under the same source is the same codebase, for ever. */
export const codebaseIdOf = (source: SourceId, project: GitLabProjectId) => v5(String(project), source) as CodebaseId;

/** One cause leads to one sync a ref. */
export const syncIdOf = (cause: FactId, codebase: CodebaseId, ref: RefName) => v5(`${codebase}\n${ref}`, cause) as SyncId;

/** What a person makes under an Idempotency-Key has the id that follows from both. */
export const sourceIdOf = (actorId: string, idempotencyKey: string) => v5(`source\n${actorId}\n${idempotencyKey}`, COMMANDS) as SourceId;
export const projectIdOf = (actorId: string, idempotencyKey: string) => v5(`project\n${actorId}\n${idempotencyKey}`, COMMANDS) as ProjectId;
const COMMANDS = '7d3f0b1e-9a55-4c0e-8d52-0f6c1f4ab1d9';

/** A command that may be repeated before anybody has seen it makes the same fact each time. */
export const commandFactId = (stream: StreamName, digest: string) => v5(`${stream}\n${digest}`, COMMANDS) as FactId;

/** A delivery's own id: its key where that is a UUID, else the UUID that follows from it. */
export const deliveryIdOf = (source: SourceId, key: string) => (isUuid(key) ? key.toLowerCase() : v5(key, source));

export const deliveryStream = (source: SourceId, key: string) => `delivery-${source}-${safe(key)}` as StreamName;
export const commandStream = (actorId: string, key: string) => `command-${safe(actorId)}-${safe(key)}` as StreamName;
/**
 * What a look found is one fact, however many schedulers look and however often: until a sync of that ref has ended, the
 * same head is the same gap; A→B→A is two. (Where our clock was set back, what ended last is not what is shown to have: then by the sync of the gap before.)
 */
export const gapKeyOf = (codebase: CodebaseId, ref: RefName, { lastEnded, found }: { readonly lastEnded: SyncId | null; readonly found: ObjectId | null }) =>
  v5(`gap\n${ref}\n${lastEnded ?? 'none'}\n${found ?? 'gone'}`, codebase);
export const gapStream = (key: string) => `command-scheduler-${key}` as StreamName;

export const syncStream = (sync: SyncId) => `sync-${sync}` as StreamName;
export const codebaseStream = (codebase: CodebaseId) => `codebase-${codebase}` as StreamName;
/** Who reads it, as GitLab was found to say: beside what people decide about it, which it would bury. */
export const readersStream = (codebase: CodebaseId) => `readers-${codebase}` as StreamName;
export const projectStream = (project: ProjectId) => `project-${project}` as StreamName;
export const sourceStream = (source: SourceId) => `source-${source}` as StreamName;
/** Who of us is who in this GitLab: one stream, so that its order decides that two of us are never one of them. */
export const peopleStream = (source: SourceId) => `people-${source}` as StreamName;
/** From where on the streams of people say all. */
export const PEOPLE_RECORDED = 'people-recorded' as StreamName;

/** A key that is not a UUID enters a stream's name as its SHA-256: any bytes, one length. */
const safe = (key: string) => (isUuid(key) ? key.toLowerCase() : createHash('sha256').update(key).digest('hex'));
const isUuid = (text: string) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);

import { z } from 'zod';

/** A primitive that cannot be mixed up with another of the same shape. Made only by the parsers of this file. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

const branded = <T extends z.ZodType, Name extends string>(schema: T) =>
  schema as unknown as z.ZodType<Brand<z.output<T>, Name>, z.input<T>>;

export type SourceId = Brand<string, 'SourceId'>;
export const sourceId = branded<z.ZodUUID, 'SourceId'>(z.uuid());

export type CodebaseId = Brand<string, 'CodebaseId'>;
/** UUIDv5(source id, GitLab project id): nobody needs to look it up. */
export const codebaseId = branded<z.ZodUUID, 'CodebaseId'>(z.uuid());

export type ProjectId = Brand<string, 'ProjectId'>;
/** Of a project of ours, a group of codebases; not GitLab's. */
export const projectId = branded<z.ZodUUID, 'ProjectId'>(z.uuid());

export type UserId = Brand<string, 'UserId'>;
/** Of a person. All that facts know of them. */
export const userId = branded<z.ZodUUID, 'UserId'>(z.uuid());

export type SyncId = Brand<string, 'SyncId'>;
/** UUIDv5(cause's id, codebase, ref). */
export const syncId = branded<z.ZodUUID, 'SyncId'>(z.uuid());

export type FactId = Brand<string, 'FactId'>;
export const factId = branded<z.ZodUUID, 'FactId'>(z.uuid());

export type GitLabProjectId = Brand<number, 'GitLabProjectId'>;
export const gitlabProjectId = branded<z.ZodNumber, 'GitLabProjectId'>(z.int().min(1));

export type ObjectId = Brand<string, 'ObjectId'>;
/** The name that git gives a blob, tree or commit: 40 hex digits, or 64 in a SHA-256 repository. */
export const objectId = branded<z.ZodString, 'ObjectId'>(z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/));

export type PackId = Brand<string, 'PackId'>;
/** SHA-256 of a pack's bytes. */
export const packId = branded<z.ZodString, 'PackId'>(z.string().regex(/^[0-9a-f]{64}$/));

export type RefName = Brand<string, 'RefName'>;
/**
 * A full ref name, as git allows them: no spaces, control characters or `~^:?*[\`; and text that can be written down anywhere,
 * so no half of a surrogate pair. GitLab caps names at 244 bytes; 1,024 leaves room for odd servers.
 */
export const refName = branded<z.ZodString, 'RefName'>(z.string().max(1_024).regex(/^refs\/[^\u0000-\u0020\u007f~^:?*[\\]+$/, 'a full ref name such as refs/heads/main').refine((name) => !/\p{Surrogate}/u.test(name), 'half of a surrogate pair'));

export type StreamName = Brand<string, 'StreamName'>;
export const streamName = branded<z.ZodString, 'StreamName'>(z.string().regex(/^[a-z]+-[A-Za-z0-9_-]+$/).max(256));

/** Where a fact stands in the log. Opaque; compares as a string; only a log adapter makes one. */
export type Position = Brand<string, 'Position'>;
/** Before the first fact of any log. */
export const BEGINNING = '' as Position;

export const gitObjectFormat = z.enum(['sha1', 'sha256']);
export type GitObjectFormat = z.infer<typeof gitObjectFormat>;

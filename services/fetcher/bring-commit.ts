import type { CodebaseId, ObjectId, RefName, SyncId } from '#schemas/brand.ts';
import type { PackMade } from '#schemas/events/sync.ts';
import type { BlobStore } from '#shared/blobs/blob-store.ts';
import type { Bus } from '#shared/bus/bus.ts';
import { MissingObject, PackTooLarge, type CommitObjects, type GitTransport } from '#shared/gitlab/git-transport.ts';
import type { GitLabAccess, GitLabProject } from '#shared/gitlab/gitlab.ts';
import type { Logger } from '#shared/runtime/logger.ts';
import { tookStep } from '#shared/runtime/trail.ts';
import { parseCommit, type Commit } from '#shared/objects/git-commit.ts';
import { TreeMalformed } from '#shared/objects/git-tree.ts';
import type { ObjectIndexReader } from '#shared/objects/object-index.ts';
import type { ObjectReader } from '#shared/objects/object-reader.ts';
import { createPackWriter } from '#shared/objects/pack-writer.ts';
import { putPack } from '#shared/objects/pack-store.ts';
import type { Fact } from '#schemas/events/facts.ts';
import { TooBig, walk } from './walk.ts';

export interface Brought {
  readonly commitTime: string | null;
  readonly tree: ObjectId;
  readonly packs: PackMade[];
  readonly counts: { commits: number; trees: number; blobs: number };
  readonly bytes: number;
}

export type BringOutcome =
  | { readonly kind: 'brought'; readonly brought: Brought }
  /** The head moved on, and the commit is gone. */
  | { readonly kind: 'commitGone'; readonly detail: string }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'failed'; readonly reason: Fact<'sync.failed'>['data']['reason']; readonly detail: string };

export interface Bringing {
  readonly outcome: BringOutcome;
  /** Gives the cache back, which now and then takes seconds (a repack): tell the outcome first, and then call it, always. */
  close(): Promise<void>;
}

export interface BringDeps {
  readonly transport: GitTransport;
  readonly index: ObjectIndexReader;
  readonly reader: Pick<ObjectReader, 'read'>;
  readonly blobs: BlobStore;
  readonly bus: Pick<Bus, 'tellProgress'>;
  readonly workDirectory: string;
  readonly logger: Pick<Logger, 'debug'>;
  now(): Date;
}

export interface Bring {
  readonly sync: SyncId;
  readonly correlation: string;
  readonly codebase: CodebaseId;
  readonly ref: RefName;
  readonly access: GitLabAccess;
  readonly project: GitLabProject;
  readonly commit: ObjectId;
  readonly parents: readonly ObjectId[];
  readonly signal: AbortSignal;
}

/** A listener sees movement, and nobody pays for more. */
const PROGRESS_EVERY_MS = 200;

/** Puts everything that a commit needs and the index does not know into packs in the blob store. @throws Unavailable */
export async function bringCommit(deps: BringDeps, bring: Bring): Promise<Bringing> {
  const known = await knownCommit(deps, bring.commit);
  // A branch at a commit that we have: no object moves, git is not even asked.
  if (known !== undefined) return closed({ kind: 'brought', brought: { ...known, packs: [], counts: { commits: 0, trees: 0, blobs: 0 }, bytes: 0 } });

  const { project, access, commit, parents, signal } = bring;
  try {
    const opened = await deps.transport.open({ codebaseId: bring.codebase, access, url: project.httpUrl, objectFormat: project.objectFormat, commit, parents, signal });
    switch (opened.kind) {
      case 'commitAbsent': return closed({ kind: 'commitGone', detail: opened.detail });
      case 'absent':
      case 'refused': return closed({ kind: 'refused', detail: opened.detail });
      case 'ok':
        tookStep(deps.logger, 'fetched', took(bring));
        return await packOpened(deps, bring, opened.objects);
      default: return opened satisfies never;
    }
  } catch (error) {
    return closed(failureOf(error));
  }
}

const took = ({ sync, correlation, codebase }: Bring) => ({ sync, correlation, codebase });
const closed = (outcome: BringOutcome): Bringing => ({ outcome, close: async () => undefined });

async function packOpened(deps: BringDeps, bring: Bring, objects: CommitObjects): Promise<Bringing> {
  try {
    return { outcome: { kind: 'brought', brought: await packCommit(deps, bring, objects) }, close: () => objects.close() };
  } catch (error) {
    await objects.close();
    throw error;
  }
}

async function packCommit(deps: BringDeps, bring: Bring, objects: CommitObjects): Promise<Brought> {
  const pack = createPackWriter({ directory: deps.workDirectory });
  try {
    const { tree, commitTime } = await packCommitObject(bring.commit, objects, pack);
    const counts = await walk({ root: tree, format: bring.project.objectFormat, objects, index: deps.index, pack, signal: bring.signal, onProgress: progressTeller(deps, bring) });
    const finished = await pack.finish();
    for (const one of finished) await putPack(deps.blobs, one, bring.signal);
    tookStep(deps.logger, 'packed', took(bring));
    return {
      commitTime, tree, bytes: counts.bytes, counts: { commits: 1, trees: counts.trees, blobs: counts.blobs },
      packs: finished.map((one) => ({ pack: one.pack, bytes: one.bytes, objects: one.objects })),
    };
  } finally {
    await pack.abandon();
  }
}

async function packCommitObject(commit: ObjectId, objects: CommitObjects, pack: ReturnType<typeof createPackWriter>) {
  for await (const object of objects.read([commit])) {
    if (object.kind !== 'commit' || !Buffer.isBuffer(object.content)) throw new MissingObject(`${commit} is no commit, or one of over 1 MiB`);
    const parsed = parseCommit(object.content);
    if (parsed.tree === undefined) throw new MissingObject(`commit ${commit} names no tree`);
    await pack.add(object);
    return { tree: parsed.tree, commitTime: timeOf(parsed) };
  }
  throw new MissingObject(`commit ${commit}`);
}

async function knownCommit({ index, reader }: BringDeps, commit: ObjectId): Promise<{ tree: ObjectId; commitTime: string | null } | undefined> {
  if (!(await index.known([commit])).has(commit)) return undefined;
  const object = await reader.read(commit);
  const parsed = object === undefined ? undefined : parseCommit(object.content);
  if (parsed?.tree === undefined || !(await index.known([parsed.tree])).has(parsed.tree)) return undefined;
  return { tree: parsed.tree, commitTime: timeOf(parsed) };
}

const timeOf = (commit: Commit) => commit.committer?.time?.toISOString() ?? null;

/** @throws what is no verdict on the repository */
function failureOf(error: unknown): BringOutcome {
  if (error instanceof MissingObject) return { kind: 'failed', reason: 'object-missing', detail: error.message };
  if (error instanceof TreeMalformed) return { kind: 'failed', reason: 'tree-malformed', detail: error.message };
  if (error instanceof TooBig || error instanceof PackTooLarge) return { kind: 'failed', reason: 'bound-passed', detail: error.message };
  throw error;
}

function progressTeller({ bus, now }: BringDeps, { sync, codebase, ref }: Bring) {
  let last = 0;
  return (progress: { objectsDone: number; objectsTotal: number | null; bytesDone: number }) => {
    const at = now().getTime();
    if (Math.abs(at - last) < PROGRESS_EVERY_MS) return;
    last = at;
    bus.tellProgress({ syncId: sync, codebaseId: codebase, ref, step: 'fetch', ...progress });
  };
}
